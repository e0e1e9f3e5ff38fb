-- What a flow asked for, from a batch on.
SELECT c.role, c.key, c.position, c.batch, c.request, c.child_id, r.kind, r.status::text AS status
FROM record_child c JOIN record r ON r.id = c.child_id
WHERE c.parent_id = %(id)b AND c.batch >= %(first)b::integer AND c.request IS NOT NULL
ORDER BY c.batch, c.role, c.key, c.position
