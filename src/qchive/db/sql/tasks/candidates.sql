-- Waiting records that a manager could run, best first: its tags in their order, then priority, then age. Read without
-- a lock. One short index range per tag and set of programs, so the cost does not depend on how many records wait.
-- In the range of the mark, if there is one, what is older or of less priority is left out (see `server/marks.py`).
SELECT best.id, t.tag, best.requirement_id, best.priority, best.sort_time
FROM unnest(%(tags)b::text[]) WITH ORDINALITY AS t (tag, rank)
CROSS JOIN LATERAL (
    SELECT c.id, q.id AS requirement_id, c.priority, c.sort_time
    FROM unnest(%(requirements)b::bigint[]) AS q (id)
    CROSS JOIN LATERAL (
        SELECT
            t.tag = '*' AND NOT %(strict)b AS any_tag,
            coalesce(t.tag = %(mark_tag)b::text AND q.id = %(mark_requirement)b::bigint, false) AS marked
    ) AS range
    CROSS JOIN LATERAL (
        (
            SELECT r.id, r.priority, r.sort_time FROM record r
            WHERE NOT range.any_tag AND NOT range.marked
                AND r.status = 'waiting' AND r.requirement_id = q.id AND r.tag = t.tag
            ORDER BY r.priority DESC, r.sort_time, r.id LIMIT %(limit)b
        )
        UNION ALL
        (
            SELECT r.id, r.priority, r.sort_time FROM record r
            WHERE NOT range.any_tag AND range.marked
                AND r.status = 'waiting' AND r.requirement_id = q.id AND r.tag = t.tag
                AND r.priority > %(mark_priority)b::smallint
            ORDER BY r.priority DESC, r.sort_time, r.id LIMIT %(limit)b
        )
        UNION ALL
        (
            SELECT r.id, r.priority, r.sort_time FROM record r
            WHERE NOT range.any_tag AND range.marked
                AND r.status = 'waiting' AND r.requirement_id = q.id AND r.tag = t.tag
                AND r.priority = %(mark_priority)b::smallint AND r.sort_time >= %(mark_time)b::timestamptz
            ORDER BY r.sort_time, r.id LIMIT %(limit)b
        )
        UNION ALL
        (
            SELECT r.id, r.priority, r.sort_time FROM record r
            WHERE range.any_tag AND NOT range.marked AND r.status = 'waiting' AND r.requirement_id = q.id
            ORDER BY r.priority DESC, r.sort_time, r.id LIMIT %(limit)b
        )
        UNION ALL
        (
            SELECT r.id, r.priority, r.sort_time FROM record r
            WHERE range.any_tag AND range.marked AND r.status = 'waiting' AND r.requirement_id = q.id
                AND r.priority > %(mark_priority)b::smallint
            ORDER BY r.priority DESC, r.sort_time, r.id LIMIT %(limit)b
        )
        UNION ALL
        (
            SELECT r.id, r.priority, r.sort_time FROM record r
            WHERE range.any_tag AND range.marked AND r.status = 'waiting' AND r.requirement_id = q.id
                AND r.priority = %(mark_priority)b::smallint AND r.sort_time >= %(mark_time)b::timestamptz
            ORDER BY r.sort_time, r.id LIMIT %(limit)b
        )
    ) AS c
    ORDER BY c.priority DESC, c.sort_time, c.id
    LIMIT %(limit)b
) AS best
ORDER BY t.rank, best.priority DESC, best.sort_time, best.id
