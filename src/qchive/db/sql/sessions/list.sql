-- Browser sessions that are not over, of one account or of all, the latest first.
SELECT s.public_id, s.account_id AS user_id, s.last_accessed, s.ip_address, s.user_agent
FROM browser_session s
JOIN account a ON a.id = s.account_id AND a.epoch = s.epoch
WHERE s.last_accessed > now() - make_interval(secs => %(lifetime)b)
    AND (s.account_id = %(account_id)b::bigint OR %(account_id)b::bigint IS NULL)
ORDER BY s.last_accessed DESC, s.id
