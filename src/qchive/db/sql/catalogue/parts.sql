-- The parts of tables: which table, and which of its rows they take.
SELECT part.relname::text AS name, whole.relname::text AS of, pg_get_expr(part.relpartbound, part.oid) AS bound
FROM pg_class part
JOIN pg_inherits i ON i.inhrelid = part.oid
JOIN pg_class whole ON whole.oid = i.inhparent
WHERE part.relnamespace = quote_ident(current_schema())::regnamespace AND part.relispartition AND part.relkind = 'r'
ORDER BY part.relname
