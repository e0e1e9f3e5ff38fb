"""The database: its embedded server, schema, statements and migrations."""
