-- What every record shows, with its specification as it is sent.
SELECT
    r.id, r.kind, r.status::text AS status, w.name AS manager_name, r.created_on, r.modified_on, r.owner, s.body AS specification
FROM record r
JOIN specification s ON s.id = r.spec_id
LEFT JOIN worker w ON w.id = r.worker_id
WHERE r.id = ANY(%(ids)b::bigint[])
