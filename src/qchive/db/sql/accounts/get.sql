-- Accounts as they are shown.
SELECT
    id, username, role, enabled, fullname, organization, email,
    ARRAY(
        SELECT g.groupname FROM membership m JOIN account_group g ON g.id = m.group_id
        WHERE m.account_id = a.id ORDER BY g.groupname
    ) AS groups
FROM account a
WHERE id = ANY(%(ids)b::bigint[])
ORDER BY id
