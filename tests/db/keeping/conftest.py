"""Archives to copy, and empty databases to copy to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.archive import prepared, running
from tests.db.keeping.copies import everything
from tests.factories import http

from qchive.db.keeping import verbs


@pytest.fixture(scope="module")
def full(databases: Any) -> Iterator[str]:
    """A database with everything in it, that nobody changes and nobody is connected to."""
    with prepared(databases) as conninfo:
        with running(conninfo) as server, http(server.address) as api:
            everything(api, conninfo)
        yield conninfo


@pytest.fixture(scope="module")
def backup(full: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    path = tmp_path_factory.mktemp("backup") / "full.qchive"
    verbs.back_up(full, path)
    return path
