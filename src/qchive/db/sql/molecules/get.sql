-- Stored documents by id.
SELECT id, document FROM molecule WHERE id = ANY(%(ids)b::bigint[])
