-- Which of these ids are no molecule.
SELECT id FROM unnest(%(ids)b::bigint[]) AS asked (id) EXCEPT SELECT id FROM molecule WHERE id = ANY(%(ids)b::bigint[])
