-- Note unforeseen errors. Ids are times, so no two are the same but by a chance that costs one of them only.
INSERT INTO server_error (
    id, error_date, version, error_text, username, request_path, request_headers, request_body, request_id
)
SELECT * FROM unnest(
    %(id)b::bigint[], %(error_date)b::timestamptz[], %(version)b::text[], %(error_text)b::text[], %(username)b::text[],
    %(request_path)b::text[], %(request_headers)b::text[], %(request_body)b::text[], %(request_id)b::text[]
)
ON CONFLICT (id) DO NOTHING
