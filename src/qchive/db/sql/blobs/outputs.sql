-- The outputs of an attempt that returned something, or of a composite record's open one, without data: one row of nulls
-- for none, no row for no such attempt.
SELECT DISTINCT b.type, b.compression
FROM attempt a
LEFT JOIN blob b ON b.record_id = a.record_id AND b.attempt_id = a.id AND b.type = ANY(%(types)b::text[])
WHERE a.record_id = %(record_id)b AND a.id = %(attempt_id)b AND a.outcome IN ('complete', 'error', 'running')
