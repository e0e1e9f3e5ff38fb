-- Operations as they are shown, newest first. One whose job will not go on has stopped.
SELECT
    o.id, o.time, o.username, o.action, o.reason, o.changes::text, o.filter::text, o.undoes, o.job_id,
    CASE
        WHEN o.state = 'running' AND o.job_id IS NOT NULL AND coalesce(j.status NOT IN ('waiting', 'running'), true)
            THEN 'stopped'
        ELSE o.state
    END AS state,
    o.expected, o.changed, o.relatives, o.refused
FROM operation o LEFT JOIN job j ON j.id = o.job_id
WHERE o.id = ANY(%(ids)b::bigint[])
ORDER BY o.id DESC
