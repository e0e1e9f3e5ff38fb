-- Waiting records that a manager could run, best first: its tags in their order, then priority, then age. Read without
-- a lock. One short index range per tag and set of programs, so the cost does not depend on how many records wait.
SELECT best.id
FROM unnest(%(tags)b::text[]) WITH ORDINALITY AS t (tag, rank)
CROSS JOIN LATERAL (
    SELECT c.id, c.priority, c.sort_time
    FROM unnest(%(requirements)b::bigint[]) AS q (id)
    CROSS JOIN LATERAL (
        (
            SELECT r.id, r.priority, r.sort_time
            FROM record r
            WHERE (t.tag <> '*' OR %(strict)b) AND r.status = 'waiting' AND r.requirement_id = q.id AND r.tag = t.tag
            ORDER BY r.priority DESC, r.sort_time, r.id
            LIMIT %(limit)b
        )
        UNION ALL
        (
            SELECT r.id, r.priority, r.sort_time
            FROM record r
            WHERE t.tag = '*' AND NOT %(strict)b AND r.status = 'waiting' AND r.requirement_id = q.id
            ORDER BY r.priority DESC, r.sort_time, r.id
            LIMIT %(limit)b
        )
    ) AS c
    ORDER BY c.priority DESC, c.sort_time, c.id
    LIMIT %(limit)b
) AS best
ORDER BY t.rank, best.priority DESC, best.sort_time, best.id
