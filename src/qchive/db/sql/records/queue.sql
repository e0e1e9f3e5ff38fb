-- New tag or priority for records that are not finished; those cancelled or deleted carry it until they come back.
UPDATE record SET tag = coalesce(%(tag)b, tag), priority = coalesce(%(priority)b, priority)
WHERE id = ANY(%(ids)b::bigint[])
    AND (status IN ('waiting', 'running', 'error') OR stack[1] IN ('waiting', 'error'))
RETURNING id
