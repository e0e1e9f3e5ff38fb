-- A batch of an operation is done, all up to `position`; in the transaction that did it, so that nothing is done twice.
UPDATE operation SET
    position = %(position)b, changed = changed + %(changed)b, relatives = relatives + %(relatives)b,
    refused = refused + %(refused)b, state = CASE WHEN %(last)b THEN 'complete' ELSE state END
WHERE id = %(id)b
