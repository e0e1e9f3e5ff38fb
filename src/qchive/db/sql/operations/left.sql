-- Records of an operation that were left alone when it was undone, with what they are now and what moved them since.
SELECT
    m.record_id, m.target::text, r.status::text,
    CASE WHEN r.operation_id IS DISTINCT FROM m.after THEN r.operation_id END AS operation_id
FROM move m
LEFT JOIN record r ON r.id = m.record_id
WHERE m.operation_id = %(undone)b AND m.record_id > %(after)b
    AND NOT EXISTS (SELECT FROM move u WHERE u.operation_id = %(id)b AND u.record_id = m.record_id)
ORDER BY m.record_id
LIMIT %(limit)b
