-- What an account's owner has set for programs to look at.
SELECT preferences FROM account WHERE id = %(id)b
