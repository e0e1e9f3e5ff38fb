"""The server of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.archive import prepared, running
from tests.serving import shared_api
from tests.toys import TOYS

__all__ = ["shared", "shared_api"]


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[Any]:
    """A server that knows the toys."""
    with prepared(databases) as conninfo, running(conninfo, kinds=TOYS) as server:
        yield server
