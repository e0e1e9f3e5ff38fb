-- Remove records for good, except those that a record which stays still refers to.
WITH gone AS (
    DELETE FROM record r
    WHERE r.id = ANY(%(ids)b::bigint[])
        AND NOT EXISTS (
            SELECT FROM record_child c
            WHERE c.child_id = r.id AND NOT (c.parent_id = ANY(%(ids)b::bigint[]))
        )
    RETURNING r.id, r.status
), operation AS (
    INSERT INTO operation (username, action) VALUES (%(username)b, 'remove') RETURNING id
), audited AS (
    INSERT INTO move (operation_id, record_id, source) SELECT operation.id, gone.id, gone.status FROM gone, operation
)
SELECT id FROM gone
