-- Accesses as they are sent, newest first.
SELECT id, timestamp, method, module, full_uri, request_duration, request_bytes::float8, response_bytes::float8, status,
    username AS "user", api_token_id, ip_address, user_agent, request_id
FROM access_log
WHERE id = ANY(%(ids)b::bigint[])
ORDER BY id DESC
