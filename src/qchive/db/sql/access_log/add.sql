-- Note many requests at once.
INSERT INTO access_log (
    timestamp, method, module, full_uri, request_duration, request_bytes, response_bytes, status, username,
    api_token_id, ip_address, user_agent, request_id
)
SELECT * FROM unnest(
    %(timestamp)b::timestamptz[], %(method)b::text[], %(module)b::text[], %(full_uri)b::text[],
    %(request_duration)b::float8[], %(request_bytes)b::bigint[], %(response_bytes)b::bigint[], %(status)b::smallint[],
    %(username)b::text[], %(api_token_id)b::bigint[], %(ip_address)b::text[], %(user_agent)b::text[],
    %(request_id)b::text[]
)
