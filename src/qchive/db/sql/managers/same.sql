-- The manager of this name, if it announced the same as now: saying it twice (after a lost answer) is harmless.
SELECT id FROM worker
WHERE name = %(name)b AND version = %(version)b AND tags = %(tags)b::text[] AND programs = %(programs)b::text::jsonb
    AND (%(whose)b::text IS NULL OR username IS NULL OR username = %(whose)b::text)
