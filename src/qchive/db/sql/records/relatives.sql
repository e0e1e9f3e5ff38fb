-- Everybody that an action on these records reaches: themselves, and by links their children, their parents, or both.
WITH RECURSIVE reached (id) AS (
    SELECT id FROM unnest(%(ids)b::bigint[]) AS given (id)
    UNION
    SELECT next.id
    FROM reached
    CROSS JOIN LATERAL (
        SELECT c.child_id AS id FROM record_child c
        WHERE %(down)b AND c.parent_id = reached.id AND c.child_id IS NOT NULL
        UNION ALL
        SELECT c.parent_id FROM record_child c WHERE %(up)b AND c.child_id = reached.id
    ) AS next
)
SELECT id FROM reached
