-- Flows of whose open batch nothing waits or runs any more are ready, now that these records have ended.
WITH woken AS (
    UPDATE flow f SET ready = true
    FROM record r
    WHERE f.record_id IN (
            SELECT c.parent_id FROM record_child c WHERE c.child_id = ANY(%(ids)b::bigint[]) AND c.request IS NOT NULL
        )
        AND NOT f.ready
        AND r.id = f.record_id AND r.status IN ('waiting', 'running')
        AND NOT EXISTS (
            SELECT FROM record_child c JOIN record child ON child.id = c.child_id
            WHERE c.parent_id = f.record_id AND c.batch = f.batch AND child.status IN ('waiting', 'running')
        )
    RETURNING f.record_id
)
SELECT pg_notify(%(channel)b, '') FROM (SELECT FROM woken LIMIT 1) AS any_of_them
