-- Molecules that computations made.
INSERT INTO record_molecule (record_id, role, position, coefficient, molecule_id)
SELECT * FROM unnest(
    %(record_ids)b::bigint[], %(roles)b::text[], %(positions)b::integer[], %(coefficients)b::double precision[],
    %(molecule_ids)b::bigint[]
)
ON CONFLICT (record_id, role, position) DO UPDATE SET molecule_id = excluded.molecule_id
