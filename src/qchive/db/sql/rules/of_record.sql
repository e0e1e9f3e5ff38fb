-- What a record came from, and what came from it, by rules; the oldest first.
SELECT f.rule_id, r.name AS rule, f.source_id, f.made_id AS record_id, f.state, f.problem, f.time
FROM follow_on f JOIN rule r ON r.id = f.rule_id
WHERE (f.rule_id, f.source_id) IN (
    SELECT rule_id, source_id FROM follow_on WHERE source_id = %(id)b
    UNION
    SELECT rule_id, source_id FROM follow_on WHERE made_id = %(id)b
)
    AND NOT (r.removed AND f.state = 'waiting')
ORDER BY f.time, f.rule_id, f.source_id
LIMIT %(limit)b
