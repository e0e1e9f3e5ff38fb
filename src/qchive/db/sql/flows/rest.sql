-- A flow whose open batch is not done waits for it.
UPDATE flow f SET ready = false
WHERE f.record_id = %(id)b AND EXISTS (
    SELECT FROM record_child c JOIN record child ON child.id = c.child_id
    WHERE c.parent_id = f.record_id AND c.batch = f.batch AND child.status IN ('waiting', 'running')
)
