"""Servers for the tests of the server: a fresh one per test, and one that a whole file shares."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qchive.db.embedded import EmbeddedPostgres
from qchive.db.migrate import migrate
from tests.archive import prepared, running
from tests.factories import Http, http


@pytest.fixture
def api(archive: Any) -> Iterator[Http]:
    """Requests to a server with a fresh database."""
    with http(archive.address) as made:
        yield made


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[Any]:
    """A server that the tests of one file share: for those that leave nothing behind that others would notice."""
    with prepared(databases) as conninfo, running(conninfo) as server:
        yield server


@pytest.fixture(scope="module")
def shared_api(shared: Any) -> Iterator[Http]:
    """Requests to the shared server."""
    with http(shared.address) as made:
        yield made


@pytest.fixture
def own_postgres(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that a test may kill, with the schema in its database."""
    with EmbeddedPostgres(open_folder) as server:
        migrate(server.dsn)
        yield server


def kill(postgres: EmbeddedPostgres) -> None:
    """End all of PostgreSQL at once, as a power cut would."""
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    postgres.wait(10)
