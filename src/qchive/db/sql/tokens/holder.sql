-- Whose an API token is, and what it may do; that it was used is noted, at most once a minute.
WITH used AS (
    UPDATE api_token SET last_used_at = now()
    WHERE hash = %(hash)b AND (expires_at > now()) IS NOT FALSE
        AND (last_used_at > now() - interval '1 minute') IS NOT TRUE
)
SELECT a.id, a.username, a.role, a.enabled, t.scope, t.id AS token_id
FROM api_token t
JOIN account a ON a.id = t.account_id
WHERE t.hash = %(hash)b AND (t.expires_at > now()) IS NOT FALSE
