-- The API tokens of an account, without their secrets.
SELECT id, account_id AS user_id, token_prefix, name, scope, created_at, expires_at, last_used_at
FROM api_token
WHERE account_id = %(account_id)b
ORDER BY id
