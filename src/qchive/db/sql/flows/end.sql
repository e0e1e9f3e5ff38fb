-- A composite record is complete, and needs no flow any more.
DELETE FROM flow WHERE record_id = %(id)b
