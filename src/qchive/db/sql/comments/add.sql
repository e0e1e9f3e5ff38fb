-- One comment on each of the records that exist.
INSERT INTO comment (record_id, username, text)
SELECT id, %(username)b, %(text)b FROM record WHERE id = ANY(%(ids)b::bigint[])
RETURNING record_id
