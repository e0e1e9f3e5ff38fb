-- Count records by kind and status, and the queue: reads the whole table, so that looking at figures does not; of all time, a hundredth at most.
INSERT INTO setting (key, value)
SELECT 'counts', jsonb_build_object(
    'records', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(kind, status, n)), '[]')
        FROM (SELECT kind, status, count(*) AS n FROM record GROUP BY kind, status) AS counted
    ),
    'queue', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(tag, programs, n)), '[]')
        FROM (
            SELECT r.tag, q.programs, count(*) AS n
            FROM record r JOIN requirement q ON q.id = r.requirement_id
            WHERE r.status = 'waiting'
            GROUP BY r.tag, q.programs
            ORDER BY count(*) DESC, r.tag
            LIMIT %(queues)b
        ) AS queues
    ),
    'time', extract(epoch FROM now()),
    'took', extract(epoch FROM clock_timestamp() - now())
)
WHERE NOT EXISTS (
    SELECT FROM setting
    WHERE key = 'counts'
        AND (value ->> 'time')::float8 + 100 * (value ->> 'took')::float8 > extract(epoch FROM now())
)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
