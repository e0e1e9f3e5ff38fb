-- A sign of life of a running job and how far it is; no row if it is this runner's no more.
UPDATE job
SET last_updated = now(), progress = %(progress)b, progress_description = %(description)b
WHERE id = %(job_id)b AND runner_uuid = %(runner)b AND status = 'running'
