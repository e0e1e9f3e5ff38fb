-- The tables of the schema with their columns: those that stand alone, and the roots of those kept in parts.
-- `binary_safe`: an array of a type of our own travels with that type's number, which another database does not know.
SELECT
    c.relname::text AS name,
    c.relkind = 'p' AS in_parts,
    array_agg(a.attname::text ORDER BY a.attnum) AS columns,
    bool_and(t.typnamespace = 'pg_catalog'::regnamespace OR t.typtype = 'e') AS binary_safe,
    coalesce(
        (SELECT sum(pg_table_size(part.relid)) FROM pg_partition_tree(c.oid) AS part), pg_table_size(c.oid)
    )::bigint AS size
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relpersistence = 'p'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.oid
ORDER BY c.relname
