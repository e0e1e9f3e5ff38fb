-- What composite records wait for, or waited for last.
SELECT c.parent_id, c.child_id, c.info
FROM flow f JOIN record_child c ON c.parent_id = f.record_id AND c.batch = f.batch AND c.request IS NOT NULL
WHERE f.record_id = ANY(%(ids)b::bigint[])
ORDER BY c.parent_id, c.role, c.key, c.position
