-- Who an account belongs to: asked with every request of somebody logged in, so that what was changed counts at once.
SELECT id, username, role, enabled FROM account WHERE id = %(id)b
