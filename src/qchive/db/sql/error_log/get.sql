-- Errors as they are sent, newest first.
SELECT id, error_date, version AS qcfractal_version, error_text, username AS "user", request_path, request_headers,
    request_body
FROM server_error
WHERE id = ANY(%(ids)b::bigint[])
ORDER BY id DESC
