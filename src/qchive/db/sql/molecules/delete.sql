-- Remove the molecules that no record refers to; the others are left out of the answer.
DELETE FROM molecule m
WHERE m.id = ANY(%(ids)b::bigint[]) AND NOT EXISTS (SELECT FROM record_molecule r WHERE r.molecule_id = m.id)
RETURNING m.id
