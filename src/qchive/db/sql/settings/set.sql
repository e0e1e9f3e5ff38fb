-- Keep a value, given as JSON.
INSERT INTO setting (key, value) VALUES (%(key)b, %(value)b::text::jsonb)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
