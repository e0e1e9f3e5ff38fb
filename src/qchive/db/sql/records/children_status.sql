-- Direct children of a record, counted by status.
SELECT status::text, count(*)
FROM (
    SELECT DISTINCT r.id, r.status FROM record_child c JOIN record r ON r.id = c.child_id WHERE c.parent_id = %(id)b
) AS children
GROUP BY status
