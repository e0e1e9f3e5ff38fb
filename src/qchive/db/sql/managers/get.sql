-- Managers by name.
SELECT
    id, name, cluster, hostname, username, tags, claimed, successes, failures, rejected, total_cpu_hours, active_tasks,
    active_cores, active_memory, CASE WHEN active THEN 'active' ELSE 'inactive' END AS status, created_on, modified_on,
    version AS manager_version, programs
FROM worker
WHERE name = ANY(%(names)b::text[])
