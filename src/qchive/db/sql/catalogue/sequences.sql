-- The sequences of tables that have given a number, and the last one they gave. They run ahead of every snapshot.
SELECT s.sequencename::text AS name, s.last_value AS last, owner.relname::text AS of
FROM pg_sequences s
JOIN pg_class c ON c.relname = s.sequencename AND c.relkind = 'S'
    AND c.relnamespace = quote_ident(current_schema())::regnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
JOIN pg_class owner ON owner.oid = d.refobjid
WHERE s.schemaname = current_schema() AND s.last_value IS NOT NULL
ORDER BY s.sequencename
