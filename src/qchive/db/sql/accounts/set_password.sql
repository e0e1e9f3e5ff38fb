-- A new password: refresh tokens are void, and sessions end but for the one that asks (its hash, or null).
WITH changed AS (
    UPDATE account SET password = %(password)b, epoch = epoch + 1 WHERE id = %(id)b RETURNING id
), ended AS (
    DELETE FROM browser_session s USING changed
    WHERE s.account_id = changed.id AND s.hash IS DISTINCT FROM %(keep)b::bytea
)
SELECT id FROM changed
