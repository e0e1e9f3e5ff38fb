-- The molecules of records by role, in their places.
SELECT record_id, role, molecule_id
FROM record_molecule
WHERE record_id = ANY(%(ids)b::bigint[])
ORDER BY record_id, role, position
