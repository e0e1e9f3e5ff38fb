-- The living record of each of these computations: a finished one before a running before a waiting before a failed one,
-- then the oldest.
SELECT DISTINCT ON (i.identity) i.identity, r.id
FROM record_identity i JOIN record r ON r.id = i.record_id
WHERE i.identity = ANY(%(identities)b::bytea[]) AND r.status = ANY(%(statuses)b::text[]::record_status[])
ORDER BY i.identity, array_position(ARRAY['complete', 'running', 'waiting', 'error']::record_status[], r.status), r.id
