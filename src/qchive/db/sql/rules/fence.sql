-- Begin to look at what is complete already: a record below `upto` is complete by now, or is noted when it becomes so; but
-- who did not see the rule may still be at work, up to the transaction `fence`.
UPDATE rule SET
    fence = pg_snapshot_xmax(pg_current_snapshot())::text::bigint, upto = coalesce((SELECT max(id) FROM record), 0)
WHERE enabled AND position IS NOT NULL AND fence IS NULL
RETURNING id
