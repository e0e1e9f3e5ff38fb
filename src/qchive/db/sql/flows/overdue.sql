-- Mark flows as ready of which nothing waits or runs, whatever kept that from being noticed.
UPDATE flow f SET ready = true
FROM record r
WHERE r.id = f.record_id AND NOT f.ready AND r.status IN ('waiting', 'running')
    AND NOT EXISTS (
        SELECT FROM record_child c JOIN record child ON child.id = c.child_id
        WHERE c.parent_id = f.record_id AND c.batch = f.batch AND child.status IN ('waiting', 'running')
    )
