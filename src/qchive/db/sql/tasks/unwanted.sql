-- Of the attempts a manager says it is running, those that are no longer its to run.
SELECT asked.record_id, asked.attempt_no
FROM unnest(%(record_ids)b::bigint[], %(attempt_nos)b::integer[]) AS asked (record_id, attempt_no)
LEFT JOIN record r ON r.id = asked.record_id
WHERE r.id IS NULL OR r.status <> 'running' OR r.attempt_no <> asked.attempt_no OR r.worker_id <> %(worker_id)b
