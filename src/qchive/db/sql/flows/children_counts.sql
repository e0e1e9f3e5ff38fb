-- How many children of composite records have which status.
SELECT parent_id, status::text, count(*)
FROM (
    SELECT DISTINCT c.parent_id, r.id, r.status FROM record_child c JOIN record r ON r.id = c.child_id
    WHERE c.parent_id = ANY(%(ids)b::bigint[])
) AS children
GROUP BY parent_id, status
