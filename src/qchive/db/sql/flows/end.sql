-- A composite record is complete, and needs no flow any more; how far it came stays.
WITH kept AS (
    UPDATE result SET progress = %(progress)b WHERE record_id = %(id)b
)
DELETE FROM flow WHERE record_id = %(id)b
