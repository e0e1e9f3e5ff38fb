-- The next records that an operation moved.
SELECT record_id FROM move
WHERE operation_id = %(id)b AND record_id > %(after)b
ORDER BY record_id
LIMIT %(limit)b
