-- The open attempts of records end because the result of an earlier attempt arrived after all.
INSERT INTO attempt (record_id, attempt_no, outcome, worker_id, started_on)
SELECT r.id, r.attempt_no, 'superseded', r.worker_id, r.claimed_at
FROM unnest(%(record_ids)b::bigint[], %(attempt_nos)b::integer[]) AS done (record_id, attempt_no)
JOIN record r ON r.id = done.record_id AND r.attempt_no <> done.attempt_no
WHERE r.status = 'running'
ON CONFLICT (record_id, attempt_no) DO NOTHING
