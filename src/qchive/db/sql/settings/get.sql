-- One fact about this archive.
SELECT value FROM setting WHERE key = %(key)b
