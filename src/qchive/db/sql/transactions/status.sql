-- What became of a transaction: committed, aborted, or in progress.
SELECT pg_xact_status(%(transaction)b::text::xid8)
