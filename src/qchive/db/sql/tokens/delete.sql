-- Remove an API token of an account.
DELETE FROM api_token WHERE id = %(id)b AND account_id = %(account_id)b
