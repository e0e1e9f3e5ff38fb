-- A new rule, unless its owner has one of that name.
INSERT INTO rule (name, owner, filter, kind, spec_id, tag, priority, find_existing, enabled, since, position)
VALUES (
    %(name)b, %(owner)b, %(filter)b::text::jsonb, %(kind)b, %(spec_id)b, %(tag)b, %(priority)b::smallint,
    %(find_existing)b, %(enabled)b, CASE WHEN NOT %(backfill)b THEN now() END, CASE WHEN %(backfill)b THEN 0 END
)
ON CONFLICT DO NOTHING
RETURNING id
