-- The id of an account, by id or by name.
SELECT id FROM account WHERE id = %(id)b::bigint OR username = %(username)b::text
