-- End managers. Their last figures stay.
UPDATE worker SET active = false, modified_on = now()
WHERE id = ANY(%(ids)b::bigint[])
