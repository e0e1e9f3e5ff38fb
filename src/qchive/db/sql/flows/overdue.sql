-- Mark flows as ready of which nothing waits or runs, whatever kept that from being noticed. Those that somebody holds are
-- being looked at just now.
WITH found AS (
    SELECT f.record_id
    FROM flow f JOIN record r ON r.id = f.record_id
    WHERE NOT f.ready AND r.status IN ('waiting', 'running')
        AND NOT EXISTS (
            SELECT FROM record_child c JOIN record child ON child.id = c.child_id
            WHERE c.parent_id = f.record_id AND c.batch = f.batch AND child.status IN ('waiting', 'running')
        )
    FOR UPDATE OF f SKIP LOCKED
)
UPDATE flow f SET ready = true FROM found WHERE f.record_id = found.record_id
