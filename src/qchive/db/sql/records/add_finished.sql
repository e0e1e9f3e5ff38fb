-- Records that are born complete, with their places below their parents: steps of a trajectory.
WITH new AS MATERIALIZED (
    SELECT nextval('record_id_seq') AS id, given.*
    FROM (
        SELECT * FROM unnest(
            %(kinds)b::text[], %(spec_ids)b::bigint[], %(identities)b::bytea[], %(owners)b::text[],
            %(parent_ids)b::bigint[], %(roles)b::text[], %(positions)b::integer[]
        ) WITH ORDINALITY AS t (kind, spec_id, identity, owner, parent_id, role, position, n)
        ORDER BY n
    ) AS given
), added AS (
    INSERT INTO record (id, kind, spec_id, identity, status, owner)
    SELECT id, kind, spec_id, identity, 'complete', owner FROM new
), linked AS (
    INSERT INTO record_child (parent_id, role, position, child_id)
    SELECT parent_id, role, position, id FROM new
)
SELECT id FROM new ORDER BY n
