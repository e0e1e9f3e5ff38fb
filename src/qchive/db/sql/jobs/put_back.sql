-- What this runner leaves behind waits again (running -> waiting): one job, or with null all of them.
UPDATE job
SET status = 'waiting',
    started_date = NULL,
    last_updated = NULL,
    runner_hostname = NULL,
    runner_uuid = NULL,
    progress = 0,
    progress_description = NULL
WHERE ended_date IS NULL AND status = 'running' AND runner_uuid = %(runner)b
    AND id = coalesce(%(job_id)b::bigint, id)
RETURNING id
