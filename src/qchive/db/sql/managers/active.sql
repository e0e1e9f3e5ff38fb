-- What the active managers offer.
SELECT name, tags, programs FROM worker WHERE active ORDER BY id
