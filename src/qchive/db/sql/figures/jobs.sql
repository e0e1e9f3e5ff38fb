-- Internal jobs that wait or run; those over are not looked at.
SELECT CASE WHEN started_date IS NULL THEN 'waiting' ELSE 'running' END, count(*)
FROM job
WHERE ended_date IS NULL
GROUP BY 1
