-- Keep what an account's owner has set for programs to look at.
UPDATE account SET preferences = %(preferences)b WHERE id = %(id)b
