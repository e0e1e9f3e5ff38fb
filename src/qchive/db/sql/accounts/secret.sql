-- What a login or a renewal needs to know of an account.
SELECT
    id, username, password, role, enabled, epoch,
    ARRAY(
        SELECT g.groupname FROM membership m JOIN account_group g ON g.id = m.group_id
        WHERE m.account_id = a.id ORDER BY g.groupname
    ) AS groups
FROM account a
WHERE username = %(username)b::text OR id = %(id)b::bigint
