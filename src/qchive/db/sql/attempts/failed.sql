-- How records failed or were lost since they were added or last reset by a person, oldest first.
SELECT a.record_id, coalesce(a.error_type, %(lost_type)b), coalesce(a.error_class, %(lost_class)b)
FROM attempt a
LEFT JOIN LATERAL (
    SELECT max(m.time) AS time FROM move m JOIN operation o ON o.id = m.operation_id
    WHERE m.record_id = a.record_id AND o.action = 'reset'
) AS renewed ON true
WHERE a.record_id = ANY(%(ids)b::bigint[]) AND a.outcome IN ('error', 'lost')
    AND (renewed.time IS NULL OR a.ended_on > renewed.time)
ORDER BY a.record_id, a.attempt_no
