-- Who is connected is looked up once per transaction: forget it, to see who has left since.
SELECT pg_stat_clear_snapshot()
