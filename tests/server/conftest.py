"""Servers for these tests."""

from tests.serving import api, own_postgres, shared, shared_api

__all__ = ["api", "own_postgres", "shared", "shared_api"]
