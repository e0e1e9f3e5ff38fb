-- Take the oldest notes of records that have become complete; two who look at once get different ones.
DELETE FROM completion
WHERE id = ANY(ARRAY(SELECT id FROM completion ORDER BY id LIMIT %(limit)b FOR UPDATE SKIP LOCKED))
RETURNING record_id
