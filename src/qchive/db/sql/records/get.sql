-- What records show, with their specification and (if `wide`) the wide part of complete ones as they are sent.
SELECT
    r.id, r.kind, r.status::text AS status, w.name AS manager_name, r.created_on, r.modified_on, r.owner,
    s.body AS specification, t.properties, t.extras, t.fields
FROM record r
JOIN specification s ON s.id = r.spec_id
LEFT JOIN worker w ON w.id = r.worker_id
LEFT JOIN result t ON t.record_id = r.id AND %(wide)b
WHERE r.id = ANY(%(ids)b::bigint[])
