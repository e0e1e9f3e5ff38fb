-- Hold an operation while one of its batches runs, and show what it is to do next.
SELECT
    id, username, action, effect, reason, changes::text, filter::text, undoes, upto, position, state, expected, changed,
    refused
FROM operation
WHERE id = %(id)b
FOR UPDATE
