-- How to take away each foreign key, and how to bring it back: checked once for all rows, they cost little.
SELECT
    concat('ALTER TABLE ', conrelid::regclass, ' DROP CONSTRAINT ', quote_ident(conname)) AS away,
    concat('ALTER TABLE ', conrelid::regclass, ' ADD CONSTRAINT ', quote_ident(conname), ' ', pg_get_constraintdef(oid)) AS back
FROM pg_constraint
WHERE connamespace = quote_ident(current_schema())::regnamespace AND contype = 'f' AND conparentid = 0
ORDER BY conrelid, conname
