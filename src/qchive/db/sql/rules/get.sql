-- Rules as they are shown, newest first.
SELECT
    r.id, r.name, r.owner, r.filter::text, r.kind AS record_type, s.body AS specification, r.tag AS compute_tag,
    r.priority::integer AS compute_priority, r.find_existing, r.enabled, r.created_on,
    r.position IS NOT NULL AS looking_back, r.matched - r.made - r.found - r.failed - r.looped AS waiting, r.made, r.found,
    r.failed, r.looped, r.problem
FROM rule r JOIN specification s ON s.id = r.spec_id
WHERE r.id = ANY(%(ids)b::bigint[]) AND NOT r.removed
ORDER BY r.id DESC
