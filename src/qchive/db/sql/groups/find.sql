-- One group, by id or by name.
SELECT id, groupname, description FROM account_group WHERE id = %(id)b::bigint OR groupname = %(groupname)b::text
