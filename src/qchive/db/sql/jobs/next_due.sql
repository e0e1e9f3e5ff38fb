-- Seconds until a job of this lane may be picked; null if none can. What waits for its serial group is told when that is free.
SELECT extract(epoch FROM min(
    CASE j.status WHEN 'waiting' THEN j.scheduled_date ELSE j.last_updated + make_interval(secs => %(dead)b) END
) - now())::double precision
FROM job j
WHERE j.ended_date IS NULL
    AND (j.repeat_delay IS NOT NULL) = %(maintenance)b
    AND j.function = ANY(%(functions)b::text[])
    AND NOT (j.status = 'waiting' AND EXISTS (
        SELECT FROM job o
        WHERE o.serial_group = j.serial_group AND o.started_date IS NOT NULL AND o.ended_date IS NULL
    ))
