-- Lock records in the order of their ids, and show their status.
SELECT id, status::text FROM record WHERE id = ANY(%(ids)b::bigint[]) ORDER BY id FOR UPDATE
