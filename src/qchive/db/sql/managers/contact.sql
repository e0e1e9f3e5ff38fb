-- A sign of life. One that was given up comes back by it: what it finished meanwhile is judged result by result.
UPDATE worker SET modified_on = now(), active = true
WHERE name = %(name)b AND (%(whose)b::text IS NULL OR username IS NULL OR username = %(whose)b::text)
RETURNING id, tags, programs
