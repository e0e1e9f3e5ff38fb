-- One stored output, native file or wavefunction.
SELECT compression, data
FROM blob
WHERE record_id = %(record_id)b AND attempt_id = %(attempt_id)b AND type = %(type)b AND name = %(name)b
