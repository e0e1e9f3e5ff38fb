-- How many records wait, by tag and by the programs they need, the most first.
SELECT r.tag AS compute_tag, q.programs, count(*)
FROM record r JOIN requirement q ON q.id = r.requirement_id
WHERE r.status = 'waiting'
GROUP BY r.tag, q.programs
ORDER BY count(*) DESC, r.tag
