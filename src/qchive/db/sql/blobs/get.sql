-- One stored output, native file or wavefunction; of an output in pieces, all of them in order.
SELECT compression, data
FROM blob
WHERE record_id = %(record_id)b AND attempt_id = %(attempt_id)b AND type = %(type)b
    AND (name = %(name)b OR %(pieces)b AND attempt_id > 0)
ORDER BY name
