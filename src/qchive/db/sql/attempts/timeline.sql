-- All attempts of a record, oldest first, those that returned nothing too; the last row may be the one that runs now.
SELECT
    a.attempt_no, a.outcome, w.name AS manager_name, a.started_on,
    CASE WHEN a.outcome <> 'running' THEN a.ended_on END AS ended_on, a.error_type, a.error_class, a.error_message
FROM attempt a LEFT JOIN worker w ON w.id = a.worker_id
WHERE a.record_id = %(id)b
UNION ALL
SELECT r.attempt_no, 'running', w.name, r.claimed_at, NULL, NULL, NULL, NULL
FROM record r LEFT JOIN worker w ON w.id = r.worker_id
WHERE r.id = %(id)b AND r.status = 'running'
    AND NOT EXISTS (SELECT FROM attempt a WHERE a.record_id = r.id AND a.attempt_no = r.attempt_no)
ORDER BY 1
