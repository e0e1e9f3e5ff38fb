-- What is stored of these types for records, without the data.
SELECT record_id, attempt_id, type, name, compression
FROM blob
WHERE record_id = ANY(%(ids)b::bigint[]) AND type = ANY(%(types)b::text[])
ORDER BY record_id, attempt_id, type, name
