-- A new password for an account whose own is lost, enabled if that is asked for. No login and no session of before goes on.
WITH changed AS (
    UPDATE account SET password = %(password)b, epoch = epoch + 1, enabled = enabled OR %(enable)b::boolean
    WHERE id = %(id)b
    RETURNING id, enabled
), ended AS (
    DELETE FROM browser_session s USING changed WHERE s.account_id = changed.id
)
SELECT enabled FROM changed
