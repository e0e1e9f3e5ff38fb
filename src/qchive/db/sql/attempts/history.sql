-- Attempts that returned something, and the open one of a composite record, oldest first: the last one is what clients
-- call current.
SELECT a.id, a.record_id, a.outcome AS status, w.name AS manager_name, a.ended_on AS modified_on, a.provenance
FROM attempt a LEFT JOIN worker w ON w.id = a.worker_id
WHERE a.record_id = ANY(%(ids)b::bigint[]) AND a.outcome IN ('complete', 'error', 'running')
ORDER BY a.record_id, a.ended_on, a.id
