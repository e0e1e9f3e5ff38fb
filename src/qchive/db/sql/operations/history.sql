-- What operations did to a record, oldest first; also to one that has been removed.
SELECT
    m.time, m.operation_id, o.username, o.action, o.reason, m.source::text, m.target::text, m.tag, m.priority,
    CASE WHEN m.tag IS NOT NULL THEN o.changes ->> 'compute_tag' END,
    CASE WHEN m.priority IS NOT NULL THEN (o.changes ->> 'compute_priority')::int END
FROM move m JOIN operation o ON o.id = m.operation_id
WHERE m.record_id = %(id)b
ORDER BY m.time, m.operation_id
