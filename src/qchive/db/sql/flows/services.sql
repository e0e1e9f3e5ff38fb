-- The flows of composite records that are not complete.
SELECT r.id, f.id, r.tag, r.priority, f.find_existing, f.batch, f.progress
FROM flow f JOIN record r ON r.id = f.record_id
WHERE f.record_id = ANY(%(ids)b::bigint[])
