-- Lock records that a rule is about to follow, and show how they stand; others who look meanwhile get different ones.
SELECT f.source_id, r.status::text
FROM follow_on f LEFT JOIN record r ON r.id = f.source_id
WHERE f.rule_id = %(rule_id)b AND f.state = 'waiting'
ORDER BY f.source_id
LIMIT %(limit)b
FOR UPDATE OF f SKIP LOCKED
