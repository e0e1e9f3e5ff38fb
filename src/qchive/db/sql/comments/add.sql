-- One comment on each of the records that exist, under an operation of its own unless one is given.
WITH fit AS MATERIALIZED (
    SELECT id FROM record WHERE id = ANY(%(ids)b::bigint[])
), operation AS (
    INSERT INTO operation (username, action, effect, reason, changes, changed, refused)
    SELECT %(username)b, 'comment', 'none', %(reason)b, %(changes)b::text::jsonb, count(*), %(n)b - count(*)
    FROM fit
    HAVING %(operation_id)b::bigint IS NULL
    RETURNING id
)
INSERT INTO comment (record_id, username, text, operation_id)
SELECT fit.id, %(username)b, %(text)b, coalesce(%(operation_id)b::bigint, (SELECT id FROM operation))
FROM fit
RETURNING record_id
