-- Active managers that have not been heard of since a moment, locked; one that is just talking to us is skipped.
SELECT id, name FROM worker WHERE active AND modified_on < %(since)b ORDER BY id FOR UPDATE SKIP LOCKED
