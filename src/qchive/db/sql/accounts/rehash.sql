-- The same password under a stronger hash, unless it was changed meanwhile.
UPDATE account SET password = %(new)b WHERE id = %(id)b AND password = %(old)b
