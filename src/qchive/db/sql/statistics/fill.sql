-- Write the last three days (UTC) anew. What all records are is known of today only: earlier days keep what they had.
INSERT INTO server_stats (date, record_count, cpu_hours, database_size, record_count_details)
SELECT
    day::date, done.n, done.hours, pg_database_size(current_database()),
    CASE WHEN day::date = current_date THEN (
        SELECT coalesce(jsonb_object_agg(kind, statuses), '{}')
        FROM (
            SELECT kind, jsonb_object_agg(status, n) AS statuses
            FROM (SELECT kind, status, count(*) AS n FROM record GROUP BY kind, status) AS counted
            GROUP BY kind
        ) AS kinds
    ) ELSE '{}' END
FROM generate_series(current_date - 2, current_date, interval '1 day') AS day
CROSS JOIN LATERAL (
    SELECT count(*) AS n, coalesce(sum(took.wall * took.threads), 0) / 3600 AS hours
    FROM attempt a
    JOIN record r ON r.id = a.record_id
    CROSS JOIN LATERAL (SELECT convert_from(a.provenance, 'UTF8')::json AS said) AS provenance
    CROSS JOIN LATERAL (
        -- Programs write what they like: what is no plain number counts nothing, without a number of threads one.
        SELECT
            substring(said ->> 'wall_time' FROM '^[0-9]{1,9}(?:\.[0-9]{1,17})?$')::float8 AS wall,
            coalesce(substring(said ->> 'nthreads' FROM '^[0-9]{1,6}$')::float8, 1) AS threads
    ) AS took
    WHERE a.outcome = 'complete' AND r.status = 'complete' AND a.ended_on >= day AND a.ended_on < day + interval '1 day'
) AS done
ON CONFLICT (date) DO UPDATE
SET record_count = excluded.record_count,
    cpu_hours = excluded.cpu_hours,
    database_size = CASE WHEN server_stats.date = current_date THEN excluded.database_size ELSE server_stats.database_size END,
    record_count_details = CASE
        WHEN server_stats.date = current_date THEN excluded.record_count_details ELSE server_stats.record_count_details
    END,
    timestamp = now()
