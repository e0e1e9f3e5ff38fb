-- End managers.
UPDATE worker SET active = false, modified_on = now(), active_tasks = 0, active_cores = 0, active_memory = 0
WHERE id = ANY(%(ids)b::bigint[])
