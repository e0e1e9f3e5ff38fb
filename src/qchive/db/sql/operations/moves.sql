-- What an operation did, record by record, in the order of their ids.
SELECT record_id, time, source::text, target::text, tag, priority
FROM move
WHERE operation_id = %(id)b AND record_id > %(after)b
ORDER BY record_id
LIMIT %(limit)b
