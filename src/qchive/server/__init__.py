"""The HTTP API: stateless processes in front of one PostgreSQL."""
