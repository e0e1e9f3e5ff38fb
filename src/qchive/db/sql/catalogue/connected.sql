-- Who else is connected to this database.
SELECT pid, coalesce(application_name, '') AS program, client_addr::text AS address
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND coalesce(backend_type, 'client backend') = 'client backend'
ORDER BY pid
