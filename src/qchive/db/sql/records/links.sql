-- The links from records to their parents, and from records to their children.
SELECT parent_id, child_id FROM record_child WHERE child_id = ANY(%(up)b::bigint[])
UNION ALL
SELECT parent_id, child_id FROM record_child WHERE parent_id = ANY(%(down)b::bigint[]) AND child_id IS NOT NULL
