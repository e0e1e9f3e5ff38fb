-- The wide part of complete records, as it is sent.
SELECT record_id, properties, extras, fields FROM result WHERE record_id = ANY(%(ids)b::bigint[])
