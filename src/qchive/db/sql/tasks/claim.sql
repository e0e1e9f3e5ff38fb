-- Take candidates in their order, skipping those that somebody else is taking right now. (waiting -> running)
WITH locked AS (
    SELECT r.id, c.n
    FROM unnest(%(ids)b::bigint[]) WITH ORDINALITY AS c (id, n)
    JOIN record r ON r.id = c.id
    WHERE r.status = 'waiting'
    ORDER BY c.n
    LIMIT %(limit)b
    FOR UPDATE OF r SKIP LOCKED
), taken AS (
    UPDATE record r SET
        status = 'running', worker_id = %(worker_id)b, claimed_at = now(), attempt_no = r.attempt_no + 1,
        modified_on = now()
    FROM locked
    WHERE r.id = locked.id
    RETURNING r.id, locked.n
)
SELECT id FROM taken ORDER BY n
