-- Cancel a job (waiting, running -> cancelled): over at once if it waits, when its runner has stopped it if it runs.
UPDATE job
SET status = 'cancelled', ended_date = CASE status WHEN 'waiting' THEN now() END
WHERE id = %(job_id)b AND status IN ('waiting', 'running')
