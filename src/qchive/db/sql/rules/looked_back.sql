-- A rule has looked at everything up to this record; null: at all there is.
UPDATE rule SET position = %(position)b::bigint, fence = CASE WHEN %(position)b::bigint IS NOT NULL THEN fence END
WHERE id = %(id)b
