"""Servers for these tests."""

from tests.serving import api, shared, shared_api

__all__ = ["api", "shared", "shared_api"]
