-- How many records of each kind have which status: reads the whole table, so for people who look, not for loops.
SELECT kind, status::text, count(*) FROM record
GROUP BY kind, status
ORDER BY kind, status
