-- What these managers hold.
SELECT id FROM record WHERE worker_id = ANY(%(worker_ids)b::bigint[]) AND status = 'running'
