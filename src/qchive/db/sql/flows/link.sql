-- The children of a batch, each in its place. They are new, or kept as they are (`flows/share`).
INSERT INTO record_child (parent_id, role, key, position, batch, info, request, child_id)
SELECT %(id)b, role, key, position, %(batch)b::integer, info::jsonb, request, child_id
FROM unnest(
    %(roles)b::text[], %(keys)b::text[], %(positions)b::integer[], %(infos)b::text[], %(requests)b::bytea[],
    %(child_ids)b::bigint[]
) AS t (role, key, position, info, request, child_id)
