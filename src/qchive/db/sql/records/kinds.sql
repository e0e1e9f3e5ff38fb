-- Of which kind records are.
SELECT id, kind FROM record WHERE id = ANY(%(ids)b::bigint[])
