"""PostgreSQL: the schema, the statements, and the pool that runs them."""
