-- Molecules that no record refers to, in the order of their ids.
SELECT m.id FROM molecule m
WHERE m.id > %(after)b AND NOT EXISTS (SELECT FROM record_molecule p WHERE p.molecule_id = m.id)
ORDER BY m.id
LIMIT %(limit)b
