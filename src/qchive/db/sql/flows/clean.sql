-- Remove the internal steps that a flow is past: those before its checkpoint, or all of them, also if it has ended; and
-- what was asked of them, which may be large.
WITH gone AS (
    DELETE FROM record_child c
    WHERE c.parent_id = %(id)b
        AND (
            %(all)b
            OR c.batch < coalesce((SELECT f.checkpoint_batch FROM flow f WHERE f.record_id = %(id)b), 2147483647)
        )
        AND EXISTS (SELECT FROM record r WHERE r.id = c.child_id AND r.kind = ANY(%(kinds)b::text[]))
    RETURNING c.child_id
), removed AS (
    DELETE FROM record r USING gone WHERE r.id = gone.child_id RETURNING r.spec_id
)
DELETE FROM specification s USING removed WHERE s.id = removed.spec_id
