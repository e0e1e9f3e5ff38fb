-- Lock records in the order of their ids, and show what decides about returned results.
SELECT id, kind, status::text AS status, attempt_no, worker_id, owner
FROM record
WHERE id = ANY(%(ids)b::bigint[])
ORDER BY id
FOR UPDATE
