-- A job whose runner leaves waits again (running -> waiting), if it is still this runner's.
UPDATE job
SET status = 'waiting',
    started_date = NULL,
    last_updated = NULL,
    runner_hostname = NULL,
    runner_uuid = NULL,
    progress = 0,
    progress_description = NULL
WHERE id = %(job_id)b AND runner_uuid = %(runner)b AND status = 'running'
