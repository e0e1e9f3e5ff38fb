-- Lock the flows of these records and those that asked for them, so that of several children that end at once one sees all
-- others ended.
SELECT f.record_id
FROM flow f
WHERE f.record_id IN (
    SELECT unnest(%(ids)b::bigint[])
    UNION
    SELECT c.parent_id FROM record_child c WHERE c.child_id = ANY(%(ids)b::bigint[]) AND c.request IS NOT NULL
)
ORDER BY f.record_id
FOR UPDATE
