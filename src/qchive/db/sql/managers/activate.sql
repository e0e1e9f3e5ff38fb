-- A compute manager announces itself; nothing is answered if the name is taken.
INSERT INTO worker (name, cluster, hostname, username, version, tags, programs)
VALUES (
    %(name)b, %(cluster)b, %(hostname)b, %(username)b, %(version)b, %(tags)b, %(programs)b::text::jsonb
)
ON CONFLICT (name) DO NOTHING
RETURNING id
