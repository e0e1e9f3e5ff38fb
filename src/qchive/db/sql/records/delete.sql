-- Remove records for good, except those that a record which stays still refers to, directly or through others.
WITH kept AS (
    WITH RECURSIVE needed (id) AS (
        SELECT c.child_id FROM record_child c
        WHERE c.child_id = ANY(%(ids)b::bigint[]) AND NOT (c.parent_id = ANY(%(ids)b::bigint[]))
        UNION
        SELECT c.child_id FROM record_child c JOIN needed ON c.parent_id = needed.id
        WHERE c.child_id = ANY(%(ids)b::bigint[])
    )
    SELECT id FROM needed
), gone AS (
    DELETE FROM record r
    WHERE r.id = ANY(%(ids)b::bigint[]) AND NOT EXISTS (SELECT FROM kept WHERE kept.id = r.id)
    RETURNING r.id, r.status
), links AS (  -- by the cascade alone they would go too late: a child may be checked before its parent's links are gone
    DELETE FROM record_child c USING gone WHERE c.parent_id = gone.id
), operation AS (
    INSERT INTO operation (username, action) VALUES (%(username)b, 'remove') RETURNING id
), audited AS (
    INSERT INTO move (operation_id, record_id, source) SELECT operation.id, gone.id, gone.status FROM gone, operation
)
SELECT id FROM gone
