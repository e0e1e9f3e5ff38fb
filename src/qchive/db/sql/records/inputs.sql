-- The molecules that the tasks of records start from.
SELECT p.record_id, p.role, m.id, m.document
FROM record_molecule p JOIN molecule m ON m.id = p.molecule_id
WHERE p.record_id = ANY(%(ids)b::bigint[]) AND p.role = ANY(%(roles)b::text[])
ORDER BY p.record_id, p.role, p.position
