"""Keeping an archive: backups, restoring them, moving to another PostgreSQL, upgrades.

`catalogue` says what there is to copy, `snapshot` reads it from a database, `file` writes and reads it, `loading` puts
it into another database, `verbs` are what people ask for, and `place` is where a database is.
"""
