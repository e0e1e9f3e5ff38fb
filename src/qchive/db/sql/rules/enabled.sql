-- The rules that completed records are compared with.
SELECT id, filter::text, since, position, upto FROM rule WHERE enabled ORDER BY id
