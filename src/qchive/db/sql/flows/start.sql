-- The server starts on a composite record; its attempt is open from now on. (waiting -> running)
WITH started AS (
    UPDATE record SET
        status = 'running', attempt_no = attempt_no + 1, worker_id = NULL, claimed_at = now(), modified_on = now()
    WHERE id = %(id)b
    RETURNING id, attempt_no
)
INSERT INTO attempt (record_id, attempt_no, outcome, started_on, provenance)
SELECT id, attempt_no, 'running', now(), %(provenance)b FROM started
RETURNING attempt_no
