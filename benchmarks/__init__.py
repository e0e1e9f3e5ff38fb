"""QCHive and the peer side by side: the same operations, the same unmodified client, the same PostgreSQL."""
