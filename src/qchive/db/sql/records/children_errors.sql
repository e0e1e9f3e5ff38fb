-- Direct children of a record that failed.
SELECT DISTINCT r.id FROM record_child c JOIN record r ON r.id = c.child_id
WHERE c.parent_id = %(id)b AND r.status = 'error'
ORDER BY r.id
