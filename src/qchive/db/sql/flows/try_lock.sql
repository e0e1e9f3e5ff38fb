-- Whether nobody else advances this record; nobody does until this transaction ends.
SELECT pg_try_advisory_xact_lock(%(class)b::integer, hashint8(%(id)b::bigint))
