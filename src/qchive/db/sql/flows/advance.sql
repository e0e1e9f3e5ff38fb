-- A flow has asked for a batch, and is ready again if nothing of it waits or runs; what is known of the record by now.
WITH noted AS (
    INSERT INTO result (record_id, extras, fields) VALUES (%(id)b, '{}', %(fields)b)
    ON CONFLICT (record_id) DO UPDATE SET fields = excluded.fields
), placed AS (
    INSERT INTO record_molecule (record_id, role, position, molecule_id)
    SELECT %(id)b, * FROM unnest(%(part_roles)b::text[], %(part_positions)b::integer[], %(part_molecule_ids)b::bigint[])
    ON CONFLICT (record_id, role, position) DO UPDATE SET molecule_id = excluded.molecule_id
), seen AS (
    UPDATE record SET modified_on = now() WHERE id = %(id)b
)
UPDATE flow f SET
    batch = %(batch)b::integer,
    checkpoint = CASE WHEN %(begins)b THEN %(checkpoint)b ELSE checkpoint END,
    checkpoint_batch = CASE WHEN %(begins)b THEN %(batch)b::integer ELSE checkpoint_batch END,
    progress = %(progress)b,
    ready = NOT EXISTS (
        SELECT FROM record_child c JOIN record child ON child.id = c.child_id
        WHERE c.parent_id = %(id)b AND c.batch = %(batch)b::integer AND child.status IN ('waiting', 'running')
    )
WHERE f.record_id = %(id)b
