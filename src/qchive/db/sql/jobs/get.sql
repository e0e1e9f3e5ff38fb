-- Jobs as they are sent.
SELECT id, name, status::text, added_date, scheduled_date, started_date, last_updated, ended_date, runner_hostname,
    runner_uuid, repeat_delay, serial_group, progress, progress_description, function, kwargs, result, username AS "user"
FROM job
WHERE id = ANY(%(ids)b)
