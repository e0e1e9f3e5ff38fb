-- A sign of life with figures, of a manager whose it is to give (null: of any).
UPDATE worker SET
    modified_on = now(), active = %(active)b, active_tasks = %(active_tasks)b, active_cores = %(active_cores)b,
    active_memory = %(active_memory)b, total_cpu_hours = %(total_cpu_hours)b
WHERE name = %(name)b AND (%(whose)b::text IS NULL OR username IS NULL OR username = %(whose)b::text)
RETURNING id
