-- End a browser session.
DELETE FROM browser_session WHERE hash = %(hash)b
