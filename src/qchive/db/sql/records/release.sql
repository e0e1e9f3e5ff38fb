-- Free records that these managers hold: the attempts end, the records wait again. Records lost too often in a row are left
-- running for the caller to put in quarantine. (running -> waiting)
WITH held AS MATERIALIZED (
    SELECT id, attempt_no, worker_id, claimed_at, losses + %(loss)b AS losses
    FROM record
    WHERE id = ANY(%(ids)b::bigint[]) AND worker_id = ANY(%(worker_ids)b::bigint[]) AND status = 'running'
    ORDER BY id
    FOR UPDATE
), ended AS (
    INSERT INTO attempt (record_id, attempt_no, outcome, worker_id, started_on)
    SELECT id, attempt_no, %(outcome)b, worker_id, claimed_at FROM held
    ON CONFLICT (record_id, attempt_no) DO NOTHING
), freed AS (
    UPDATE record r SET
        status = 'waiting', worker_id = NULL, claimed_at = NULL, losses = held.losses, modified_on = now()
    FROM held
    WHERE r.id = held.id AND held.losses < %(limit)b
)
SELECT id, losses FROM held ORDER BY id
