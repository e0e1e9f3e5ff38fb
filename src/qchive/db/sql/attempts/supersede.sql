-- The open attempts of records end because an earlier attempt's result arrived after all.
INSERT INTO attempt (record_id, attempt_no, outcome, worker_id, started_on)
SELECT id, attempt_no, 'superseded', worker_id, claimed_at
FROM record
WHERE id = ANY(%(ids)b::bigint[]) AND status = 'running'
ON CONFLICT (record_id, attempt_no) DO NOTHING
