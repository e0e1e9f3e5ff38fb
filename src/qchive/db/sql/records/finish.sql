-- Records whose result or failure was stored. (running, waiting, error -> complete; running, waiting -> error)
UPDATE record r SET
    status = done.status::record_status, worker_id = done.worker_id, claimed_at = NULL, losses = 0, modified_on = now()
FROM unnest(%(ids)b::bigint[], %(statuses)b::text[], %(worker_ids)b::bigint[]) AS done (id, status, worker_id)
WHERE r.id = done.id
