-- Write how attempts ended. One that was given up as lost and returned after all is corrected.
INSERT INTO attempt (
    record_id, attempt_no, outcome, worker_id, started_on, provenance, error_type, error_message
)
SELECT a.record_id, a.attempt_no, a.outcome, a.worker_id, r.claimed_at, a.provenance, a.error_type, a.error_message
FROM unnest(
    %(record_ids)b::bigint[], %(attempt_nos)b::integer[], %(outcomes)b::text[], %(worker_ids)b::bigint[],
    %(provenances)b::bytea[], %(error_types)b::text[], %(error_messages)b::text[]
) WITH ORDINALITY AS a (record_id, attempt_no, outcome, worker_id, provenance, error_type, error_message, n)
LEFT JOIN record r ON r.id = a.record_id AND r.attempt_no = a.attempt_no
ORDER BY a.n
ON CONFLICT (record_id, attempt_no) DO UPDATE SET
    outcome = excluded.outcome, ended_on = excluded.ended_on, provenance = excluded.provenance,
    error_type = excluded.error_type, error_message = excluded.error_message
RETURNING record_id, attempt_no, id
