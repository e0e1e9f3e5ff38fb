-- Add a job. A unique one that waits or runs already keeps its row: a changed delay reaches it, and never later than anew.
INSERT INTO job (name, is_unique, function, kwargs, username, serial_group, repeat_delay, scheduled_date)
VALUES (
    %(name)b, %(is_unique)b, %(function)b, %(kwargs)b, %(username)b, %(serial_group)b, %(repeat_delay)b,
    coalesce(%(scheduled)b::timestamptz, now())
)
ON CONFLICT (name) WHERE is_unique AND status IN ('waiting', 'running') DO UPDATE
SET repeat_delay = excluded.repeat_delay,
    scheduled_date = CASE
        WHEN job.status = 'waiting' AND job.repeat_delay > excluded.repeat_delay
        THEN least(job.scheduled_date, now() + make_interval(secs => excluded.repeat_delay))
        ELSE job.scheduled_date
    END
RETURNING id
