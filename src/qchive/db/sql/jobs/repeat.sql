-- What has a delay comes again, whether it succeeded or failed; after failures ever later, up to a bound.
INSERT INTO job (name, is_unique, function, kwargs, username, serial_group, repeat_delay, failures, scheduled_date)
SELECT name, is_unique, function, kwargs, username, serial_group, repeat_delay,
    CASE status WHEN 'error' THEN failures + 1 ELSE 0 END,
    now() + make_interval(secs => repeat_delay + CASE status
        WHEN 'error' THEN least(%(backoff)b * power(2, least(failures, 30)), %(backoff_max)b) ELSE 0
    END)
FROM job
WHERE id = %(job_id)b AND repeat_delay IS NOT NULL AND status IN ('complete', 'error')
