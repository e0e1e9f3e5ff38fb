-- The ids of all accounts.
SELECT id FROM account ORDER BY id
