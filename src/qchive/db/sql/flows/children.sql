-- The children of composite records, with what views show of them.
SELECT
    c.parent_id, t.properties, t.fields, c.info, r.id, r.kind, r.status::text, c.role, c.key, c.position, c.batch,
    p.molecule_id
FROM record_child c
JOIN record r ON r.id = c.child_id
LEFT JOIN result t ON t.record_id = r.id
LEFT JOIN LATERAL (
    SELECT molecule_id FROM record_molecule
    WHERE record_id = r.id AND role IN ('molecule', 'final_molecule')
    LIMIT 1
) AS p ON true
WHERE c.parent_id = ANY(%(ids)b::bigint[])
ORDER BY c.parent_id, c.batch, c.role, c.key, c.position
