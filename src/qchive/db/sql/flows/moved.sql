-- Of composite records that people moved, those that wait are ready to start.
WITH marked AS (
    UPDATE flow f SET ready = r.status = 'waiting'
    FROM record r
    WHERE r.id = f.record_id AND r.id = ANY(%(ids)b::bigint[]) AND f.ready <> (r.status = 'waiting')
    RETURNING f.ready
)
SELECT pg_notify(%(channel)b, '') FROM (SELECT FROM marked WHERE ready LIMIT 1) AS any_of_them
