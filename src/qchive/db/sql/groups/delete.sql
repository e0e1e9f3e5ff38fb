-- Remove a group that has no members.
DELETE FROM account_group g
WHERE g.id = %(id)b AND NOT EXISTS (SELECT FROM membership m WHERE m.group_id = g.id)
