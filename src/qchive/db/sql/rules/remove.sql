-- Let a rule be no more; what it made, and that it did, stays.
WITH gone AS (
    UPDATE rule SET enabled = false, removed = true WHERE id = %(id)b AND NOT removed RETURNING id
), forgotten AS (
    DELETE FROM follow_on f USING gone WHERE f.rule_id = gone.id AND f.state = 'waiting'
)
SELECT id FROM gone
