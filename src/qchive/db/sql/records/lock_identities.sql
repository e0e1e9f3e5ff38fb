-- Hold these computations: whoever adds one of them next waits until this transaction ends, so that two callers cannot
-- both find it missing.
SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT key FROM unnest(%(keys)b::bigint[]) AS k (key) ORDER BY key) AS sorted
