-- What an enabled rule makes, and the role of its owner; null if there is no such account, or it is disabled.
SELECT
    r.id, r.owner, r.kind, s.body AS specification, r.tag, r.priority::integer, r.find_existing, a.role
FROM rule r
JOIN specification s ON s.id = r.spec_id
LEFT JOIN account a ON a.username = r.owner AND a.enabled
WHERE r.id = %(id)b AND r.enabled
