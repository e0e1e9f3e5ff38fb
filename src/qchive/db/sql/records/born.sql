-- When a record was made.
SELECT created_on FROM record WHERE id = %(id)b
