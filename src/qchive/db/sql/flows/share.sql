-- Keep records as they are, though others may look at them or link them too; in the order of their ids.
SELECT id, status::text FROM record WHERE id = ANY(%(ids)b::bigint[]) ORDER BY id FOR KEY SHARE
