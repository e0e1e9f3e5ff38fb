-- One stored document, locked so that it can be rewritten.
SELECT document FROM molecule WHERE id = %(id)b FOR UPDATE
