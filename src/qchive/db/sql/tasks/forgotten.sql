-- What a manager holds for longer than `grace` seconds without knowing of it: the answer to its claim was lost.
SELECT r.id
FROM record r
LEFT JOIN unnest(%(record_ids)b::bigint[], %(attempt_nos)b::integer[]) AS known (record_id, attempt_no)
    ON known.record_id = r.id AND known.attempt_no = r.attempt_no
WHERE r.worker_id = %(worker_id)b AND r.status = 'running' AND known.record_id IS NULL
    AND r.claimed_at < now() - make_interval(secs => %(grace)b)
