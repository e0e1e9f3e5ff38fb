-- Rather give up than let everybody queue behind a lock that this transaction waits for: a backup holds tables for long.
SELECT set_config('lock_timeout', '200ms', true)
