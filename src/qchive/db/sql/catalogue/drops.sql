-- The statements that empty the schema, except for what extensions brought; none: it is empty.
WITH brought AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
SELECT
    concat(
        'DROP ',
        CASE relkind
            WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE'
            WHEN 'c' THEN 'TYPE' ELSE 'TABLE'
        END,
        ' IF EXISTS ', oid::regclass, ' CASCADE'
    )
FROM pg_class
WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    AND NOT relispartition
    AND NOT (
        relkind = 'S'
        AND oid IN (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i'))
    )
    AND ('pg_class'::regclass, oid) NOT IN (SELECT classid, objid FROM brought)
UNION ALL
SELECT concat('DROP TYPE IF EXISTS ', oid::regtype, ' CASCADE')
FROM pg_type
WHERE typnamespace = quote_ident(current_schema())::regnamespace AND typtype IN ('e', 'd')
    AND ('pg_type'::regclass, oid) NOT IN (SELECT classid, objid FROM brought)
UNION ALL
SELECT concat('DROP ROUTINE IF EXISTS ', oid::regprocedure, ' CASCADE')
FROM pg_proc
WHERE pronamespace = quote_ident(current_schema())::regnamespace
    AND ('pg_proc'::regclass, oid) NOT IN (SELECT classid, objid FROM brought)
