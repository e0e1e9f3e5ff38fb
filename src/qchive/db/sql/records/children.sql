-- Children of records in one role, in their places.
SELECT parent_id, child_id
FROM record_child
WHERE parent_id = ANY(%(ids)b::bigint[]) AND role = %(role)b AND child_id IS NOT NULL
ORDER BY parent_id, key, position
