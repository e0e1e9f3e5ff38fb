-- Molecules by content: which of these hashes are stored, and under which id.
SELECT hash, id FROM molecule WHERE hash = ANY(%(hashes)b::bytea[])
