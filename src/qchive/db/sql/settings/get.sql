-- A value that is kept, as JSON.
SELECT value::text FROM setting WHERE key = %(key)b
