-- The one statement that people's actions move records with: those of the locked ones that are in a status to start from.
-- Those that the action itself fits start from `sources`, relatives also from `also`, which have their own target. No
-- target: the status on top of the stack (`pop`), or the one they have (`keep`). A running record is remembered as waiting,
-- and its attempt ends. With `undone`, records that still stand where this operation left them go back; what it replaced
-- returns.
WITH given AS MATERIALIZED (
    SELECT id, asked, fit FROM unnest(%(ids)b::bigint[], %(asked)b::boolean[], %(fit)b::boolean[]) AS t (id, asked, fit)
), undone AS MATERIALIZED (
    SELECT record_id, source, target, tag, priority, worker_id, before, after FROM move
    WHERE operation_id = %(undone)b::bigint AND record_id = ANY(%(ids)b::bigint[])
), old AS MATERIALIZED (
    SELECT
        r.id, r.status, r.stack, r.attempt_no, r.worker_id, r.claimed_at, given.asked, r.operation_id,
        undone.worker_id AS worker_again, undone.before AS operation_again,
        CASE
            WHEN %(effect)b = 'pop' THEN r.stack[cardinality(r.stack)]
            WHEN %(effect)b = 'keep' THEN r.status
            WHEN r.status = ANY(%(also)b::text[]::record_status[]) THEN %(also_target)b::text::record_status
            ELSE coalesce(%(target)b::text::record_status, undone.source)
        END AS target,
        CASE WHEN r.tag <> coalesce(undone.tag, %(tag)b::text) AND (given.fit OR undone.tag IS NOT NULL) THEN r.tag END AS tag,
        CASE
            WHEN r.priority <> coalesce(undone.priority, %(priority)b::smallint)
                AND (given.fit OR undone.priority IS NOT NULL) THEN r.priority
        END AS priority,
        coalesce(undone.tag, %(tag)b::text) AS new_tag, coalesce(undone.priority, %(priority)b::smallint) AS new_priority
    FROM given
    JOIN record r USING (id)
    LEFT JOIN undone ON undone.record_id = r.id
    WHERE (
            r.status = ANY(%(sources)b::text[]::record_status[])
            OR NOT given.fit AND r.status = ANY(%(also)b::text[]::record_status[])
        )
        AND (%(effect)b <> 'pop' OR cardinality(r.stack) > 0)
        AND (NOT given.fit OR NOT %(unfinished)b OR coalesce(r.stack[1], r.status) IN ('waiting', 'running', 'error'))
        AND (
            %(undone)b::bigint IS NULL
            OR r.operation_id IS NOT DISTINCT FROM undone.after AND r.status = undone.target
        )
), operation AS (
    INSERT INTO operation (username, action, effect, reason, changes, undoes, changed, relatives, refused)
    SELECT
        %(username)b, %(action)b, %(effect)b, %(reason)b, %(changes)b::text::jsonb, %(undone)b::bigint,
        count(*) FILTER (WHERE asked), count(*) FILTER (WHERE NOT asked),
        %(n)b - count(*) FILTER (WHERE asked)
    FROM old
    HAVING %(operation_id)b::bigint IS NULL
    RETURNING id
), run AS MATERIALIZED (
    SELECT coalesce(%(operation_id)b::bigint, (SELECT id FROM operation)) AS id
), moved AS (
    UPDATE record r SET
        status = old.target,
        stack = CASE %(effect)b
            WHEN 'push' THEN old.stack || CASE WHEN old.status = 'running' THEN 'waiting'::record_status ELSE old.status END
            WHEN 'pop' THEN old.stack[:cardinality(old.stack) - 1]
            WHEN 'clear' THEN '{}'
            ELSE old.stack
        END,
        tag = CASE WHEN old.tag IS NULL THEN r.tag ELSE old.new_tag END,
        priority = CASE WHEN old.priority IS NULL THEN r.priority ELSE old.new_priority END,
        worker_id = CASE
            WHEN %(effect)b = 'keep' THEN r.worker_id
            WHEN old.worker_again IS NOT NULL THEN old.worker_again
            WHEN old.status IN ('waiting', 'running') OR old.target = 'waiting' THEN NULL
            ELSE r.worker_id
        END,
        claimed_at = CASE WHEN %(effect)b = 'keep' THEN r.claimed_at END,
        losses = CASE WHEN old.target = 'waiting' AND old.status <> 'waiting' THEN 0 ELSE r.losses END,
        modified_on = CASE WHEN %(effect)b = 'keep' THEN r.modified_on ELSE now() END,
        operation_id = CASE WHEN %(undone)b::bigint IS NULL THEN run.id ELSE old.operation_again END
    FROM old, run
    WHERE r.id = old.id
    RETURNING r.id
), stopped AS (
    INSERT INTO attempt (record_id, attempt_no, outcome, worker_id, started_on)
    SELECT id, attempt_no, 'stopped', worker_id, claimed_at FROM old WHERE status = 'running' AND %(effect)b <> 'keep'
    ON CONFLICT (record_id, attempt_no) DO UPDATE SET outcome = 'stopped', ended_on = now() WHERE attempt.outcome = 'running'
), audited AS (
    INSERT INTO move (operation_id, record_id, source, target, tag, priority, worker_id, before, after)
    SELECT
        run.id, old.id, old.status, old.target, old.tag, old.priority,
        CASE WHEN %(effect)b = 'clear' THEN old.worker_id END, old.operation_id,
        CASE WHEN %(undone)b::bigint IS NULL THEN run.id ELSE old.operation_again END
    FROM old, run
), noted AS (
    -- for rules that follow what becomes complete, or does so again
    INSERT INTO completion (record_id)
    SELECT id FROM old
    WHERE target = 'complete' AND status <> 'complete' AND attempt_no > 0 AND EXISTS (SELECT FROM rule WHERE enabled)
    RETURNING pg_notify(%(channel)b, '')
)
SELECT run.id, (SELECT array_agg(id) FROM moved) FROM run
