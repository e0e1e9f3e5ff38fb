-- The molecules of records in their places.
SELECT record_id, role, position, coefficient, molecule_id
FROM record_molecule
WHERE record_id = ANY(%(ids)b::bigint[])
ORDER BY record_id, role, position
