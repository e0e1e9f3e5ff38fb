-- A job runs this operation.
UPDATE operation SET job_id = %(job_id)b WHERE id = %(id)b
