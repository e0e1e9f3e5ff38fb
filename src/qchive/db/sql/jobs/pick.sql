-- Take what has been due for longest (waiting -> running), or was left behind by a runner that died; one for each serial group.
WITH next AS (
    SELECT j.id
    FROM job j
    WHERE j.ended_date IS NULL
        AND (j.repeat_delay IS NOT NULL) = %(maintenance)b
        AND j.function = ANY(%(functions)b::text[])
        AND CASE j.status
            WHEN 'waiting' THEN j.scheduled_date <= now() AND NOT EXISTS (
                SELECT FROM job o
                WHERE o.serial_group = j.serial_group AND o.started_date IS NOT NULL AND o.ended_date IS NULL
            )
            ELSE j.last_updated < now() - make_interval(secs => %(dead)b)
        END
    ORDER BY j.scheduled_date, j.id
    LIMIT 1
    FOR UPDATE OF j SKIP LOCKED
)
UPDATE job
SET status = CASE job.status WHEN 'cancelled' THEN job.status ELSE 'running' END,
    started_date = now(),
    last_updated = now(),
    runner_hostname = %(hostname)b,
    runner_uuid = %(runner)b,
    progress = 0,
    progress_description = NULL
FROM next
WHERE job.id = next.id
RETURNING job.id, job.function, job.kwargs, job.username, job.status = 'cancelled' AS cancelled
