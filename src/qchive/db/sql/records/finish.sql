-- All that a batch of returned results leaves behind, in one statement, and the end of their records.
-- (running, waiting, error -> complete; running, waiting -> error)
-- A row `given` is the attempt of a record, or (record_id is null) a child of `parent_id` that is born complete.
WITH given AS MATERIALIZED (
    SELECT coalesce(record_id, nextval('record_id_seq')) AS id, t.*
    FROM (
        SELECT * FROM unnest(
            %(record_ids)b::bigint[], %(attempt_nos)b::integer[], %(outcomes)b::text[], %(provenances)b::bytea[],
            %(error_types)b::text[], %(error_messages)b::text[], %(properties)b::bytea[], %(extras)b::bytea[],
            %(fields)b::bytea[], %(kinds)b::text[], %(spec_ids)b::bigint[], %(identities)b::bytea[], %(owners)b::text[],
            %(parent_ids)b::bigint[], %(roles)b::text[], %(positions)b::integer[], %(error_classes)b::text[],
            %(fingerprints)b::text[]
        ) WITH ORDINALITY AS t (
            record_id, attempt_no, outcome, provenance, error_type, error_message, properties, extras, fields, kind,
            spec_id, identity, owner, parent_id, role, position, error_class, fingerprint, n
        )
        ORDER BY n
    ) AS t
), old AS MATERIALIZED (
    SELECT given.n, r.id, r.status, r.attempt_no, r.worker_id, r.claimed_at
    FROM given JOIN record r ON r.id = given.record_id
), superseded AS (
    -- running when an earlier one's result arrived after all
    INSERT INTO attempt (record_id, attempt_no, outcome, worker_id, started_on)
    SELECT old.id, old.attempt_no, 'superseded', old.worker_id, old.claimed_at
    FROM old JOIN given USING (n)
    WHERE old.status = 'running' AND old.attempt_no <> given.attempt_no
    ON CONFLICT (record_id, attempt_no) DO NOTHING
), born AS (
    INSERT INTO record (id, kind, spec_id, status, owner)
    SELECT id, kind, spec_id, 'complete', owner FROM given WHERE record_id IS NULL
), identified AS (
    INSERT INTO record_identity (record_id, identity) SELECT id, identity FROM given WHERE record_id IS NULL
), linked AS (
    INSERT INTO record_child (parent_id, role, position, child_id)
    SELECT parent_id, role, position, id FROM given WHERE record_id IS NULL
), ended AS (
    -- one given up as lost is corrected, that of a composite record has been there since it started
    INSERT INTO attempt (
        record_id, attempt_no, outcome, worker_id, started_on, provenance, error_type, error_message, error_class,
        fingerprint
    )
    SELECT
        given.id, given.attempt_no, given.outcome, CASE WHEN given.record_id IS NOT NULL THEN %(worker_id)b::bigint END,
        CASE WHEN old.attempt_no = given.attempt_no THEN old.claimed_at END, given.provenance, given.error_type,
        given.error_message, given.error_class, given.fingerprint
    FROM given LEFT JOIN old USING (n)
    ORDER BY given.n
    ON CONFLICT (record_id, attempt_no) DO UPDATE SET
        outcome = excluded.outcome, ended_on = excluded.ended_on,
        provenance = coalesce(excluded.provenance, attempt.provenance),
        error_type = excluded.error_type, error_message = excluded.error_message,
        error_class = excluded.error_class, fingerprint = excluded.fingerprint
    RETURNING id, record_id
), widened AS (
    INSERT INTO result (record_id, properties, extras, fields)
    SELECT id, properties, extras, fields FROM given WHERE extras IS NOT NULL
    ON CONFLICT (record_id) DO UPDATE SET
        properties = excluded.properties, extras = excluded.extras, fields = excluded.fields
), placed AS (
    INSERT INTO record_molecule (record_id, role, position, coefficient, molecule_id)
    SELECT given.id, part.role, part.position, part.coefficient, part.molecule_id
    FROM unnest(
        %(part_of)b::bigint[], %(part_roles)b::text[], %(part_positions)b::integer[],
        %(part_coefficients)b::float8[], %(part_molecule_ids)b::bigint[]
    ) AS part (n, role, position, coefficient, molecule_id)
    JOIN given USING (n)
    ON CONFLICT (record_id, role, position) DO UPDATE SET molecule_id = excluded.molecule_id
), kept AS (
    INSERT INTO blob (record_id, attempt_id, type, name, compression, data)
    SELECT given.id, CASE WHEN b.is_output THEN ended.id ELSE 0 END, b.type, b.name, b.compression, b.data
    FROM unnest(
        %(blob_of)b::bigint[], %(blob_is_output)b::boolean[], %(blob_types)b::text[], %(blob_names)b::text[],
        %(blob_compressions)b::text[], %(blob_datas)b::bytea[]
    ) AS b (n, is_output, type, name, compression, data)
    JOIN given USING (n)
    JOIN ended ON ended.record_id = given.id
    ON CONFLICT (record_id, attempt_id, type, name) DO UPDATE SET
        compression = excluded.compression, data = excluded.data
), noted AS (
    -- for rules that follow what becomes complete; steps of a trajectory are parts of their optimization
    INSERT INTO completion (record_id)
    SELECT record_id FROM given
    WHERE record_id IS NOT NULL AND outcome = 'complete' AND EXISTS (SELECT FROM rule WHERE enabled)
    RETURNING pg_notify(%(channel)b, '')
)
UPDATE record r SET
    status = given.outcome::record_status, worker_id = %(worker_id)b, claimed_at = NULL, losses = 0,
    modified_on = now()
FROM given
WHERE r.id = given.record_id
