-- The one statement that people's actions move records with: those locked that are in a status the action starts from.
-- `target` null takes the status on top of the stack; a running record is remembered as waiting, and its attempt ends.
WITH operation AS (
    INSERT INTO operation (username, action) VALUES (%(username)b, %(action)b) RETURNING id
), old AS MATERIALIZED (
    SELECT
        id, status, attempt_no, worker_id, claimed_at,
        coalesce(%(target)b::text::record_status, stack[cardinality(stack)]) AS target,
        CASE
            WHEN %(keeps)b THEN stack || CASE WHEN status = 'running' THEN 'waiting'::record_status ELSE status END
            WHEN %(target)b::text IS NULL THEN stack[:cardinality(stack) - 1]
            ELSE '{}'
        END AS stack
    FROM record
    WHERE id = ANY(%(ids)b::bigint[]) AND status = ANY(%(sources)b::text[]::record_status[])
        AND (%(target)b::text IS NOT NULL OR cardinality(stack) > 0)
), moved AS (
    UPDATE record r SET
        status = old.target,
        stack = old.stack,
        worker_id = CASE WHEN old.status IN ('waiting', 'running') OR old.target = 'waiting' THEN NULL ELSE r.worker_id END,
        claimed_at = NULL,
        losses = CASE WHEN old.target = 'waiting' THEN 0 ELSE r.losses END,
        modified_on = now()
    FROM old
    WHERE r.id = old.id
    RETURNING r.id
), stopped AS (
    INSERT INTO attempt (record_id, attempt_no, outcome, worker_id, started_on)
    SELECT id, attempt_no, 'stopped', worker_id, claimed_at FROM old WHERE status = 'running'
    ON CONFLICT (record_id, attempt_no) DO NOTHING
), audited AS (
    INSERT INTO move (operation_id, record_id, source, target)
    SELECT operation.id, old.id, old.status, old.target FROM old, operation
)
SELECT id FROM moved
