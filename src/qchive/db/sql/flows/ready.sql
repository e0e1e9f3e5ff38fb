-- Flows that can go on, the urgent before the old before the young.
SELECT r.id
FROM flow f JOIN record r ON r.id = f.record_id
WHERE f.ready AND r.status IN ('waiting', 'running') AND NOT (r.id = ANY(%(but)b::bigint[]))
ORDER BY r.priority DESC, r.sort_time, r.id
LIMIT %(limit)b
