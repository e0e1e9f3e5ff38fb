-- Direct children of a record, counted by status.
SELECT r.status::text, count(*) FROM record_child c JOIN record r ON r.id = c.child_id
WHERE c.parent_id = %(id)b
GROUP BY r.status
