-- Operations as they are shown, newest first.
SELECT
    id, time, username, action, reason, changes::text, filter::text, undoes, job_id, state, expected, changed, relatives,
    refused
FROM operation
WHERE id = ANY(%(ids)b::bigint[])
ORDER BY id DESC
