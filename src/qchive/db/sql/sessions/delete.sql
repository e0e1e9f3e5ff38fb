-- End a browser session; whose it was.
DELETE FROM browser_session s USING account a
WHERE s.hash = %(hash)b AND a.id = s.account_id
RETURNING a.id, a.username, a.role, a.enabled
