-- Tell upkeep, on commit, that rules have something to do.
SELECT pg_notify(%(channel)b, '')
