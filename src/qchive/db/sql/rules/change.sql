-- Enable or disable a rule. One that is enabled again follows what is computed from now on, with `backfill` everything.
UPDATE rule SET
    enabled = %(enabled)b,
    since = CASE WHEN %(backfill)b THEN NULL WHEN %(enabled)b AND NOT enabled THEN now() ELSE since END,
    position = CASE WHEN %(backfill)b THEN 0 ELSE position END,
    fence = CASE WHEN NOT %(backfill)b THEN fence END,
    problem = NULL
WHERE id = %(id)b AND NOT removed
RETURNING id
