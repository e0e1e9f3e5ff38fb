-- A job has ended (running -> complete, error), if it is still this runner's; one that was cancelled meanwhile stays so.
UPDATE job
SET status = CASE status WHEN 'cancelled' THEN status ELSE %(status)b::text::job_status END,
    progress = CASE WHEN status = 'running' AND %(status)b::text = 'complete' THEN 100 ELSE progress END,
    progress_description = CASE
        WHEN status = 'running' AND %(status)b::text = 'complete' THEN 'Complete' ELSE progress_description
    END,
    result = CASE status WHEN 'cancelled' THEN NULL ELSE %(result)b::bytea END,
    ended_date = now(),
    last_updated = now()
WHERE id = %(job_id)b AND runner_uuid = %(runner)b AND started_date IS NOT NULL AND ended_date IS NULL
