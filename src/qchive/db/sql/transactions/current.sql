-- The transaction that has just begun, by which PostgreSQL can be asked later what became of it.
SELECT pg_current_xact_id()::text
