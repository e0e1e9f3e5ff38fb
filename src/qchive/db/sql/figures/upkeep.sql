-- When each part of upkeep last succeeded, and how long that took: loops as they noted it, and maintenance jobs.
SELECT 'loop', name, extract(epoch FROM succeeded_on)::float8, seconds
FROM upkeep_loop
UNION ALL
SELECT 'job', t.name, extract(epoch FROM j.ended_date)::float8, extract(epoch FROM j.ended_date - j.started_date)::float8
FROM unnest(%(jobs)b::text[]) AS t (name)
CROSS JOIN LATERAL (
    SELECT ended_date, started_date FROM job
    WHERE job.name = t.name AND status = 'complete' AND repeat_delay IS NOT NULL
    ORDER BY ended_date DESC
    LIMIT 1
) AS j
