-- Everybody that an action on these records reaches: themselves, upwards their parents, downwards the children of all these.
-- A child stays out (`reached` is false) if another parent, which the action does not reach but would apply to (it is in one
-- of the statuses `spares`), still needs it. What decides about that is listed too, so that it can be locked.
WITH RECURSIVE up (id) AS (
    SELECT id FROM unnest(%(ids)b::bigint[]) AS given (id)
    UNION
    SELECT c.parent_id FROM up JOIN record_child c ON c.child_id = up.id WHERE %(up)b
), down (id) AS (
    SELECT id FROM up
    UNION
    SELECT c.child_id FROM down JOIN record_child c ON c.parent_id = down.id WHERE %(down)b AND c.child_id IS NOT NULL
), outside AS MATERIALIZED (
    SELECT c.child_id, p.id
    FROM down
    JOIN record_child c ON c.child_id = down.id
    JOIN record p ON p.id = c.parent_id AND p.status = ANY(%(spares)b::text[]::record_status[])
    WHERE %(down)b AND cardinality(%(spares)b::text[]) > 0
        AND down.id NOT IN (SELECT id FROM up) AND p.id NOT IN (SELECT id FROM down)
), needed (id) AS (
    SELECT child_id FROM outside
    UNION
    SELECT c.child_id
    FROM needed
    JOIN record p ON p.id = needed.id AND p.status = ANY(%(spares)b::text[]::record_status[])
    JOIN record_child c ON c.parent_id = p.id
    WHERE c.child_id NOT IN (SELECT id FROM up)
)
SELECT id, id NOT IN (SELECT id FROM needed) AS reached FROM down
UNION ALL
SELECT id, false FROM outside
