-- Rules that have something to make.
SELECT r.id
FROM rule r
WHERE r.enabled AND NOT (r.id = ANY(%(but)b::bigint[]))
    AND EXISTS (SELECT FROM follow_on f WHERE f.rule_id = r.id AND f.state = 'waiting')
ORDER BY r.id
