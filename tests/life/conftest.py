"""The server of these tests."""

from tests.serving import shared, shared_api

__all__ = ["shared", "shared_api"]
