-- Remove an account, with its tokens, sessions and memberships.
DELETE FROM account WHERE id = %(id)b
