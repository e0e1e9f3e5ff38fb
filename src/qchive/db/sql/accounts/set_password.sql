-- A new password: logins are void, but for the session that asks (its hash, or null).
WITH changed AS (
    UPDATE account SET password = %(password)b, epoch = epoch + 1 WHERE id = %(id)b RETURNING id, epoch
)
UPDATE browser_session s SET epoch = changed.epoch FROM changed
WHERE s.account_id = changed.id AND s.hash = %(keep)b::bytea
