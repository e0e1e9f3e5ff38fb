-- How many tasks a manager was given.
UPDATE worker SET claimed = claimed + %(n)b WHERE id = %(id)b
