-- A flow that is planned anew: what it asked for before is not its child any more.
DELETE FROM record_child WHERE parent_id = %(id)b AND request IS NOT NULL
