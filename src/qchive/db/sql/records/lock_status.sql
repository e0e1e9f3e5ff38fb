-- Lock records in the order of their ids, and show their status and what moved them last.
SELECT id, status::text, operation_id FROM record WHERE id = ANY(%(ids)b::bigint[]) ORDER BY id FOR UPDATE
