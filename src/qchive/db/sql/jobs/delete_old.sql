-- Remove jobs that ended long ago.
DELETE FROM job WHERE ended_date < now() - make_interval(secs => %(keep)b)
