-- The molecule that follows each of these records: the one it ended with, else the one it is about; null if there are
-- several, or none.
SELECT
    source_id,
    coalesce(
        max(m.molecule_id) FILTER (WHERE m.role = %(final)b),
        CASE WHEN count(DISTINCT m.molecule_id) = 1 THEN max(m.molecule_id) END
    )
FROM unnest(%(ids)b::bigint[]) AS t (source_id)
LEFT JOIN record_molecule m ON m.record_id = t.source_id
GROUP BY source_id
ORDER BY source_id
