-- Records of an operation that were left alone when it was undone: how it left them, and how they are now.
SELECT m.record_id, m.target::text, m.after, r.status::text, r.operation_id
FROM move m
LEFT JOIN record r ON r.id = m.record_id
WHERE m.operation_id = %(undone)b AND m.record_id > %(after)b
    AND NOT EXISTS (SELECT FROM move u WHERE u.operation_id = %(id)b AND u.record_id = m.record_id)
ORDER BY m.record_id
LIMIT %(limit)b
