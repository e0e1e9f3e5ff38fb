-- Tell the runners, on commit, that something happened to a job.
SELECT pg_notify(%(channel)b, %(job)b)
