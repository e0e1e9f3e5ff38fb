-- A new account in its groups; nothing is answered if the name is taken.
WITH added AS (
    INSERT INTO account (username, password, role, enabled, fullname, organization, email)
    VALUES (
        %(username)b, %(password)b, %(role)b, %(enabled)b, %(fullname)b, %(organization)b, %(email)b
    )
    ON CONFLICT (username) DO NOTHING
    RETURNING id
), joined AS (
    INSERT INTO membership (account_id, group_id)
    SELECT added.id, g.id FROM added CROSS JOIN account_group g WHERE g.groupname = ANY(%(groups)b::text[])
)
SELECT id FROM added
