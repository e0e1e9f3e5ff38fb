-- Records that were lost too often in a row become errors that a person should look at. (running -> error)
WITH moved AS (
    UPDATE record SET
        status = 'error', worker_id = NULL, claimed_at = NULL, attempt_no = attempt_no + 1, modified_on = now()
    WHERE id = ANY(%(ids)b::bigint[]) AND status = 'running'
    RETURNING id, attempt_no
)
INSERT INTO attempt (record_id, attempt_no, outcome, error_type, error_message, error_class, fingerprint)
SELECT id, attempt_no, 'error', %(error_type)b, %(error_message)b, %(error_class)b, %(fingerprint)b FROM moved
RETURNING record_id, id
