-- A set of required programs by content.
SELECT id FROM requirement WHERE hash = %(hash)b
