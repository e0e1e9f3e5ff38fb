-- What an operation did to how many records.
SELECT action, effect, (SELECT count(*) FROM move WHERE operation_id = %(id)b)
FROM operation
WHERE id = %(id)b
