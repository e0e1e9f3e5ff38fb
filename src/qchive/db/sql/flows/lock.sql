-- Lock a composite record, and show whether it still stands where it did.
SELECT r.status::text, r.attempt_no, f.batch, r.operation_id
FROM record r JOIN flow f ON f.record_id = r.id
WHERE r.id = %(id)b
FOR UPDATE OF r
