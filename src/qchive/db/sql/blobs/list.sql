-- What is stored of these types for a record, without the data: one row of nulls for nothing, no row for no such record.
SELECT b.attempt_id, b.type, b.name, b.compression
FROM record r LEFT JOIN blob b ON b.record_id = r.id AND b.type = ANY(%(types)b::text[])
WHERE r.id = %(id)b
ORDER BY b.attempt_id, b.type, b.name
