-- New waiting records that a flow asks for, of several specifications, with their molecules; ids ascend in the order given.
WITH new AS MATERIALIZED (
    SELECT nextval('record_id_seq') AS id, sorted.*
    FROM (
        SELECT * FROM unnest(
            %(identities)b::bytea[], %(kinds)b::text[], %(spec_ids)b::bigint[], %(requirement_ids)b::bigint[]
        ) WITH ORDINALITY AS t (identity, kind, spec_id, requirement_id, n)
        ORDER BY n
    ) AS sorted
), added AS (
    INSERT INTO record (id, kind, spec_id, tag, priority, sort_time, requirement_id, owner)
    SELECT
        id, kind, spec_id, %(tag)b, %(priority)b::smallint, %(sort_time)b::timestamptz, requirement_id, %(owner)b
    FROM new
), identified AS (
    INSERT INTO record_identity (record_id, identity) SELECT id, identity FROM new
), placed AS (
    INSERT INTO record_molecule (record_id, role, position, coefficient, molecule_id)
    SELECT new.id, part.role, part.position, part.coefficient, part.molecule_id
    FROM unnest(
        %(part_of)b::bigint[], %(roles)b::text[], %(positions)b::integer[], %(coefficients)b::double precision[],
        %(molecule_ids)b::bigint[]
    ) AS part (n, role, position, coefficient, molecule_id)
    JOIN new USING (n)
)
SELECT id FROM new ORDER BY n
