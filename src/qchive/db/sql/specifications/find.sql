-- Specifications by content.
SELECT hash, id FROM specification WHERE hash = ANY(%(hashes)b::bytea[])
