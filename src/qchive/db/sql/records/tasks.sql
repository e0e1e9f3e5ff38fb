-- What the tasks of records show: only unfinished records have one. `parts` is the input of the task, once claimed.
SELECT r.id, r.kind, r.attempt_no, r.tag, r.priority, q.programs, s.body AS specification
FROM record r
JOIN specification s ON s.id = r.spec_id
JOIN requirement q ON q.id = r.requirement_id
WHERE r.id = ANY(%(ids)b::bigint[]) AND r.status IN ('waiting', 'running', 'error')
