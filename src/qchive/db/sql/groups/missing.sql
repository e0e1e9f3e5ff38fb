-- Which of the names are no groups.
SELECT t.name FROM unnest(%(groups)b::text[]) AS t (name)
WHERE NOT EXISTS (SELECT FROM account_group g WHERE g.groupname = t.name)
