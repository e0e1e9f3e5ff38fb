-- A rule does not follow these records, which are not complete any more. Should they become so again, that is noted anew.
WITH gone AS (
    DELETE FROM follow_on WHERE rule_id = %(rule_id)b AND source_id = ANY(%(ids)b::bigint[]) RETURNING source_id
)
UPDATE rule SET matched = matched - (SELECT count(*) FROM gone) WHERE id = %(rule_id)b
