-- How far composite records are, and in which batch as long as they are not complete.
SELECT r.id, f.batch, coalesce(f.progress, t.progress)
FROM record r LEFT JOIN flow f ON f.record_id = r.id LEFT JOIN result t ON t.record_id = r.id
WHERE r.id = ANY(%(ids)b::bigint[])
