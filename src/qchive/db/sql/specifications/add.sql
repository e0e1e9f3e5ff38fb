-- Store new specifications, in the order of their hashes; one that somebody else has just stored is left out.
INSERT INTO specification (hash, kind, body, program, driver, method, basis, qc_program, keywords, optimizer, others)
SELECT hash, kind, body, program, driver, method, basis, qc_program, keywords::jsonb, optimizer, others::jsonb
FROM unnest(
    %(hashes)b::bytea[], %(kinds)b::text[], %(bodies)b::bytea[], %(programs)b::text[], %(drivers)b::text[],
    %(methods)b::text[], %(bases)b::text[], %(qc_programs)b::text[], %(keywords)b::text[], %(optimizers)b::text[],
    %(others)b::text[]
) AS new (hash, kind, body, program, driver, method, basis, qc_program, keywords, optimizer, others)
ORDER BY hash
ON CONFLICT (hash) DO NOTHING
RETURNING hash, id
