-- What is stored of these types for records, with the data as received.
SELECT record_id, attempt_id, type, name, compression, data
FROM blob
WHERE record_id = ANY(%(ids)b::bigint[]) AND type = ANY(%(types)b::text[])
ORDER BY record_id, attempt_id, type, name
