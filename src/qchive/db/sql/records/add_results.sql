-- The wide part of records that have become complete.
INSERT INTO result (record_id, properties, extras, fields)
SELECT * FROM unnest(
    %(ids)b::bigint[], %(properties)b::bytea[], %(extras)b::bytea[], %(fields)b::bytea[]
)
ON CONFLICT (record_id) DO UPDATE SET
    properties = excluded.properties, extras = excluded.extras, fields = excluded.fields
