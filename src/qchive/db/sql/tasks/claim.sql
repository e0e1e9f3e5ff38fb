-- Take candidates in their order, skipping those that somebody else is taking right now. (waiting -> running)
-- Looked up one by one, by id: in a join the planner may prefer to read everything that waits.
WITH locked AS (
    SELECT r.id, c.n
    FROM (SELECT * FROM unnest(%(ids)b::bigint[]) WITH ORDINALITY AS t (id, n) ORDER BY n) AS c
    CROSS JOIN LATERAL (
        SELECT id FROM record WHERE record.id = c.id AND status = 'waiting' FOR UPDATE SKIP LOCKED
    ) AS r
    LIMIT %(limit)b
), taken AS (
    UPDATE record r SET
        status = 'running', worker_id = %(worker_id)b, claimed_at = now(), attempt_no = r.attempt_no + 1,
        modified_on = now()
    FROM locked
    WHERE r.id = locked.id
    RETURNING r.id, locked.n
), counted AS (
    UPDATE worker SET claimed = claimed + (SELECT count(*) FROM taken) WHERE id = %(worker_id)b
)
SELECT id FROM taken ORDER BY n
