-- The action that an operation did or, if it is an undoing, the one at the start of its chain; and how long that chain is.
WITH RECURSIVE back AS (
    SELECT action, undoes, 0 AS undoings FROM operation WHERE id = %(id)b
    UNION ALL
    SELECT o.action, o.undoes, b.undoings + 1 FROM back b JOIN operation o ON o.id = b.undoes
)
SELECT action, undoings FROM back WHERE undoes IS NULL
