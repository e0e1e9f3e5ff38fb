-- The record of each of these computations: a finished one before a waiting one before a failed one before a dead one,
-- then the oldest.
SELECT DISTINCT ON (identity) identity, id
FROM record
WHERE identity = ANY(%(identities)b::bytea[])
ORDER BY
    identity,
    array_position(
        ARRAY['complete', 'running', 'waiting', 'error', 'cancelled', 'invalid', 'deleted']::record_status[], status
    ),
    id
