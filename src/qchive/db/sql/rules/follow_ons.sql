-- What a rule made, by the records that it followed, in the order of their ids.
SELECT f.rule_id, r.name AS rule, f.source_id, f.made_id AS record_id, f.state, f.problem, f.time
FROM follow_on f JOIN rule r ON r.id = f.rule_id
WHERE f.rule_id = %(rule_id)b AND f.source_id > %(after)b
ORDER BY f.source_id
LIMIT %(limit)b
