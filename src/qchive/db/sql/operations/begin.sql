-- An operation on everything that fits a filter, or that takes another one back, to be run batch by batch.
INSERT INTO operation (username, action, effect, reason, changes, filter, undoes, upto, expected, state)
VALUES (
    %(username)b, %(action)b, %(effect)b, %(reason)b, %(changes)b::text::jsonb, %(filter)b::text::jsonb, %(undoes)b,
    %(upto)b, %(expected)b, 'running'
)
RETURNING id
