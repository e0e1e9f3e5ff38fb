-- What a flow asked for, from a batch on; of what it asked for before, whatever is not complete any more.
SELECT c.role, c.key, c.position, c.batch, c.request, c.child_id, r.kind, r.status::text AS status
FROM record_child c JOIN record r ON r.id = c.child_id
WHERE c.parent_id = %(id)b AND c.request IS NOT NULL AND (c.batch >= %(first)b::integer OR r.status <> 'complete')
ORDER BY c.batch, c.role, c.key, c.position
