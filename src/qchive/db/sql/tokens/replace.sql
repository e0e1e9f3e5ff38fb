-- The one API token of an account that a program of ours has, both made if they are not there.
WITH holder AS (
    INSERT INTO account (username, password, role) VALUES (%(username)b, %(password)b, 'compute')
    ON CONFLICT (username) DO UPDATE SET username = excluded.username
    RETURNING id
)
INSERT INTO api_token (account_id, hash, token_prefix, name, scope)
SELECT id, %(hash)b, %(token_prefix)b, %(name)b, %(scope)b FROM holder
ON CONFLICT (account_id, name) DO UPDATE SET
    hash = excluded.hash, token_prefix = excluded.token_prefix, created_at = now(), last_used_at = NULL
