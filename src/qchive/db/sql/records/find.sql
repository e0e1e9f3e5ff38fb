-- The record of each of these computations: a finished one before a waiting one before a failed one before a dead one,
-- then the oldest.
SELECT DISTINCT ON (i.identity) i.identity, r.id
FROM record_identity i JOIN record r ON r.id = i.record_id
WHERE i.identity = ANY(%(identities)b::bytea[])
ORDER BY
    i.identity,
    array_position(
        ARRAY['complete', 'running', 'waiting', 'error', 'cancelled', 'invalid', 'deleted']::record_status[], r.status
    ),
    r.id
