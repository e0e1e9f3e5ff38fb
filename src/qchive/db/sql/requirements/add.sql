-- Store a new set of required programs; nothing is answered when somebody else has just stored it.
INSERT INTO requirement (hash, programs, versions)
VALUES (%(hash)b, %(programs)b, %(versions)b::text::jsonb)
ON CONFLICT (hash) DO NOTHING
RETURNING id
