-- The molecules of a composite record.
SELECT p.role, p.coefficient, m.id, m.document
FROM record_molecule p JOIN molecule m ON m.id = p.molecule_id
WHERE p.record_id = %(id)b
ORDER BY p.role, p.position
