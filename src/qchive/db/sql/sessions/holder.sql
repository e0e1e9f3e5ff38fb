-- Whose a browser session is, if it was used within its lifetime; that it is used is noted now and then (both seconds).
WITH used AS (
    UPDATE browser_session SET last_accessed = now()
    WHERE hash = %(hash)b AND last_accessed > now() - make_interval(secs => %(lifetime)b)
        AND last_accessed < now() - make_interval(secs => %(note_after)b)
)
SELECT a.id, a.username, a.role, a.enabled
FROM browser_session s
JOIN account a ON a.id = s.account_id
WHERE s.hash = %(hash)b AND (s.epoch = a.epoch OR NOT a.enabled) AND s.last_accessed > now() - make_interval(secs => %(lifetime)b)
