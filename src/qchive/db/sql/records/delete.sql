-- Remove records for good, except those that a record which stays still refers to, directly or through others.
WITH RECURSIVE given AS MATERIALIZED (
    SELECT id, asked FROM unnest(%(ids)b::bigint[], %(asked)b::boolean[]) AS t (id, asked)
), needed (id) AS (
    SELECT c.child_id FROM record_child c
    WHERE c.child_id = ANY(%(ids)b::bigint[]) AND c.parent_id NOT IN (SELECT id FROM given)
    UNION
    SELECT c.child_id FROM record_child c JOIN needed ON c.parent_id = needed.id
    WHERE c.child_id IN (SELECT id FROM given)
), gone AS (
    DELETE FROM record r USING given
    WHERE r.id = given.id AND r.id NOT IN (SELECT id FROM needed)
    RETURNING r.id, r.status, given.asked
), links AS (  -- by the cascade alone they would go too late: a child may be checked before its parent's links are gone
    DELETE FROM record_child c USING gone WHERE c.parent_id = gone.id
), made AS (
    INSERT INTO operation (username, action, effect, reason, changed, relatives, refused)
    SELECT
        %(username)b, %(action)b, 'remove', %(reason)b, count(*) FILTER (WHERE asked), count(*) FILTER (WHERE NOT asked),
        %(n)b - count(*) FILTER (WHERE asked)
    FROM gone
    HAVING %(operation_id)b::bigint IS NULL
    RETURNING id
), audited AS (
    INSERT INTO move (operation_id, record_id, source)
    SELECT coalesce(%(operation_id)b::bigint, (SELECT id FROM made)), gone.id, gone.status FROM gone
)
SELECT id FROM gone
