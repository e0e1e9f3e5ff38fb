-- Remove a job; what a runner still does for it comes to nothing.
DELETE FROM job WHERE id = %(job_id)b
