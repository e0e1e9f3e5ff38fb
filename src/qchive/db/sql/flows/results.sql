-- What records ended with, and the molecule they are about: the final one of an optimization.
SELECT r.id, t.properties, t.fields, p.molecule_id, CASE WHEN r.id = ANY(%(whole)b::bigint[]) THEN m.document END AS document
FROM record r
LEFT JOIN result t ON t.record_id = r.id
LEFT JOIN LATERAL (
    SELECT molecule_id FROM record_molecule
    WHERE record_id = r.id AND role IN ('molecule', 'final_molecule')
    LIMIT 1
) AS p ON true
LEFT JOIN molecule m ON m.id = p.molecule_id
WHERE r.id = ANY(%(ids)b::bigint[])
