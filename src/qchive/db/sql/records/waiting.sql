-- What decides why a record waits.
SELECT r.kind, r.status::text, r.tag, q.programs, q.versions
FROM record r LEFT JOIN requirement q ON q.id = r.requirement_id
WHERE r.id = %(id)b
