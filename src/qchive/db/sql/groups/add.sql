-- A new group; nothing is answered if the name is taken.
INSERT INTO account_group (groupname, description) VALUES (%(groupname)b, %(description)b)
ON CONFLICT (groupname) DO NOTHING
RETURNING id
