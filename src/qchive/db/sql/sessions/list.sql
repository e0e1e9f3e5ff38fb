-- Browser sessions that are not over, of one account or of all, the latest first.
SELECT public_id, account_id AS user_id, last_accessed, ip_address, user_agent
FROM browser_session
WHERE last_accessed > now() - make_interval(secs => %(lifetime)b)
    AND (account_id = %(account_id)b::bigint OR %(account_id)b::bigint IS NULL)
ORDER BY last_accessed DESC, id
