-- Compute managers that are active, and what they run.
SELECT count(*), coalesce(sum(active_tasks), 0), coalesce(sum(active_cores), 0), coalesce(sum(active_memory), 0)
FROM worker
WHERE active
