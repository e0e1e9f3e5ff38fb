-- What a person recognises records by.
SELECT r.id, r.kind AS record_type, r.status::text, s.qc_program AS program, s.method, s.basis
FROM record r JOIN specification s ON s.id = r.spec_id
WHERE r.id = ANY(%(ids)b::bigint[])
ORDER BY r.id
