-- All groups.
SELECT id, groupname, description FROM account_group ORDER BY id
