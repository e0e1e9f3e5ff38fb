-- Store new molecules, in the order of their hashes so that two callers cannot block each other; one that somebody
-- else has just stored is left out of the answer.
INSERT INTO molecule (hash, formula, identifiers, document)
SELECT hash, formula, identifiers::jsonb, document
FROM unnest(
    %(hashes)b::bytea[], %(formulas)b::text[], %(identifiers)b::text[], %(documents)b::bytea[]
) AS new (hash, formula, identifiers, document)
ORDER BY hash
ON CONFLICT (hash) DO NOTHING
RETURNING hash, id
