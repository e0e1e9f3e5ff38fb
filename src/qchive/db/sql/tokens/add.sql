-- A new API token; nothing is answered if the account has one of that name, or as many as one may have.
INSERT INTO api_token (account_id, hash, token_prefix, name, scope, expires_at)
SELECT %(account_id)b, %(hash)b, %(token_prefix)b, %(name)b, %(scope)b, %(expires_at)b::timestamptz
WHERE (SELECT count(*) FROM api_token WHERE account_id = %(account_id)b) < %(most)b::bigint
ON CONFLICT (account_id, name) DO NOTHING
RETURNING id, account_id AS user_id, token_prefix, name, scope, created_at, expires_at, last_used_at
