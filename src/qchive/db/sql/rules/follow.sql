-- A rule follows these records, each once. A record that the rule itself led to, directly or as a part of what it made, is
-- only noted: following it would never end.
WITH RECURSIVE up (id, above) AS (
    SELECT id, id FROM unnest(%(ids)b::bigint[]) AS t (id)
    UNION
    SELECT up.id, c.parent_id FROM up JOIN record_child c ON c.child_id = up.above
), came AS MATERIALIZED (
    SELECT up.id, coalesce(array_agg(DISTINCT t.rule_id) FILTER (WHERE t.rule_id IS NOT NULL), '{}') AS through
    FROM up LEFT JOIN follow_on f ON f.made_id = up.above LEFT JOIN unnest(f.through) AS t (rule_id) ON true
    GROUP BY up.id
), followed AS (
    INSERT INTO follow_on (rule_id, source_id, state, through, problem)
    SELECT
        %(rule_id)b::bigint, id, CASE WHEN %(rule_id)b::bigint = ANY(through) THEN 'looped' ELSE 'waiting' END,
        through || %(rule_id)b::bigint,
        CASE WHEN %(rule_id)b::bigint = ANY(through) THEN 'It came from this rule itself' END
    FROM came
    ORDER BY id
    ON CONFLICT (rule_id, source_id) DO NOTHING
    RETURNING state
)
UPDATE rule SET
    matched = matched + (SELECT count(*) FROM followed),
    looped = looped + (SELECT count(*) FROM followed WHERE state = 'looped')
WHERE id = %(rule_id)b::bigint AND EXISTS (SELECT FROM followed)
