-- What was computed on each day.
SELECT date::text, record_count, cpu_hours, database_size, record_count_details::text, timestamp
FROM server_stats
ORDER BY date
