-- What a rule has made of records, or why it made nothing.
WITH done AS (
    UPDATE follow_on f SET made_id = t.made_id, state = t.state, problem = t.problem, time = now()
    FROM unnest(
        %(source_ids)b::bigint[], %(made_ids)b::bigint[], %(states)b::text[], %(problems)b::text[]
    ) AS t (source_id, made_id, state, problem)
    WHERE f.rule_id = %(rule_id)b AND f.source_id = t.source_id
    RETURNING f.state
)
UPDATE rule SET
    made = made + (SELECT count(*) FROM done WHERE state = 'made'),
    found = found + (SELECT count(*) FROM done WHERE state = 'found'),
    failed = failed + (SELECT count(*) FROM done WHERE state = 'failed'),
    problem = NULL
WHERE id = %(rule_id)b
