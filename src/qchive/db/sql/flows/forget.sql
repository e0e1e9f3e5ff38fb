-- A flow that asks for something else from a batch on: what it asked for before is not its child any more.
DELETE FROM record_child WHERE parent_id = %(id)b AND batch >= %(first)b::integer AND request IS NOT NULL
