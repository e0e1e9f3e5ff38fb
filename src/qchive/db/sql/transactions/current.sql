-- The transaction that is about to be committed; null if it has written nothing.
SELECT pg_current_xact_id_if_assigned()::text
