-- Comments on records, oldest first.
SELECT id, record_id, username, timestamp, text AS comment
FROM comment
WHERE record_id = ANY(%(ids)b::bigint[])
ORDER BY record_id, timestamp, id
