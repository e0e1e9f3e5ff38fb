-- New composite records are ready to start.
WITH new AS (
    INSERT INTO flow (record_id, find_existing) SELECT unnest(%(ids)b::bigint[]), %(find_existing)b::boolean
)
SELECT pg_notify(%(channel)b, '')
