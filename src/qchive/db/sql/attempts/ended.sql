-- How these attempts ended, as far as they have.
SELECT a.record_id, a.attempt_no, a.outcome, a.worker_id
FROM attempt a
JOIN unnest(%(record_ids)b::bigint[], %(attempt_nos)b::integer[]) AS asked (record_id, attempt_no)
    USING (record_id, attempt_no)
