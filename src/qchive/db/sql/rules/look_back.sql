-- Lock a rule that is to look at what is complete already, and that nobody works at who did not see it. A fence from the
-- future was set before the database moved to another server.
SELECT id, filter::text, since, position, upto
FROM rule
WHERE enabled AND position IS NOT NULL AND fence IS NOT NULL
    AND (
        fence <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint
        OR fence > pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    )
ORDER BY id
LIMIT 1
FOR UPDATE SKIP LOCKED
