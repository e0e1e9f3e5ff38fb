-- A composite record and its flow.
SELECT
    r.id, r.kind, r.status::text AS status, r.tag, r.priority, r.owner, r.sort_time, r.attempt_no, r.operation_id,
    f.find_existing, f.batch, f.checkpoint, f.checkpoint_batch, s.body AS specification, t.fields
FROM flow f
JOIN record r ON r.id = f.record_id
JOIN specification s ON s.id = r.spec_id
LEFT JOIN result t ON t.record_id = r.id
WHERE f.record_id = %(id)b
