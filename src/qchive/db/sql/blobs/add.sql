-- Store outputs, native files and wavefunctions as received.
INSERT INTO blob (record_id, attempt_id, type, name, compression, data)
SELECT * FROM unnest(
    %(record_ids)b::bigint[], %(attempt_ids)b::bigint[], %(types)b::text[], %(names)b::text[],
    %(compressions)b::text[], %(datas)b::bytea[]
)
ON CONFLICT (record_id, attempt_id, type, name) DO UPDATE SET
    compression = excluded.compression, data = excluded.data
