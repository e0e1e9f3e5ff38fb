-- Another name for an API token of an account.
UPDATE api_token SET name = %(name)b WHERE id = %(id)b AND account_id = %(account_id)b
RETURNING id, account_id AS user_id, token_prefix, name, scope, created_at, expires_at, last_used_at
