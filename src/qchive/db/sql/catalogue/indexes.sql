-- How to take away each index that is no constraint, and how to bring it back: made at once, they cost little.
SELECT concat('DROP INDEX ', i.indexrelid::regclass) AS away, pg_get_indexdef(i.indexrelid) AS back
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY i.indexrelid
