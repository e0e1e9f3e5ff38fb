-- The key that signs tokens: the one that is kept, which this one becomes if there is none yet.
INSERT INTO setting (key, value) VALUES ('jwt_secret_key', to_jsonb(%(key)b::text))
ON CONFLICT (key) DO UPDATE SET value = setting.value
RETURNING value #>> '{}'
