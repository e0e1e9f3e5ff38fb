-- Administrators who can log in. They stay locked, so that of two who shut each other out one sees what the other did.
SELECT id FROM account WHERE role = 'admin' AND enabled ORDER BY id FOR NO KEY UPDATE
