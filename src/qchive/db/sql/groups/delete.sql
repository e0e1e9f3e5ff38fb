-- Remove a group; whoever was in it is in it no more.
DELETE FROM account_group WHERE id = %(id)b
