-- The lost attempts of records, for the report of a quarantine.
SELECT a.record_id, a.attempt_no, w.name, a.started_on, a.ended_on
FROM attempt a LEFT JOIN worker w ON w.id = a.worker_id
WHERE a.record_id = ANY(%(ids)b::bigint[]) AND a.outcome = 'lost'
ORDER BY a.record_id, a.attempt_no
