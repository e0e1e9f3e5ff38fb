-- Which computations the records are that a flow asked for.
SELECT i.identity, r.id
FROM record_child c JOIN record r ON r.id = c.child_id JOIN record_identity i ON i.record_id = r.id
WHERE c.parent_id = %(id)b AND c.request IS NOT NULL AND r.status IN ('waiting', 'running', 'complete', 'error')
