-- Change an account. Role, groups and whether it is enabled stay if null. Disabling makes its logins void.
WITH changed AS (
    UPDATE account SET
        fullname = %(fullname)b, organization = %(organization)b, email = %(email)b,
        role = coalesce(%(role)b::text, role),
        enabled = coalesce(%(enabled)b::boolean, enabled),
        epoch = epoch + (enabled AND %(enabled)b::boolean IS FALSE)::int
    WHERE id = %(id)b AND username = %(username)b
    RETURNING id
), left_groups AS (
    DELETE FROM membership m USING changed, account_group g
    WHERE m.account_id = changed.id AND g.id = m.group_id AND g.groupname <> ALL (%(groups)b::text[])
), joined AS (
    INSERT INTO membership (account_id, group_id)
    SELECT changed.id, g.id FROM changed CROSS JOIN account_group g WHERE g.groupname = ANY (%(groups)b::text[])
    ON CONFLICT DO NOTHING
)
SELECT id FROM changed
