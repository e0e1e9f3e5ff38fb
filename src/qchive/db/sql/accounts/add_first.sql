-- The administrator of an archive that has no account yet; nothing is answered if it has one.
INSERT INTO account (username, password, role)
SELECT %(username)b, %(password)b, 'admin' WHERE NOT EXISTS (SELECT FROM account)
ON CONFLICT (username) DO NOTHING
RETURNING id
