"""Copies between the PostgreSQL of the wheel and Debian's, which is another major version, in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qchive.db.embedded import EmbeddedPostgres
from qchive.db.keeping import verbs
from qchive.db.migrate import migrate
from tests.archive import prepared, running
from tests.db.keeping.copies import everything, state
from tests.factories import http, sql

pytestmark = pytest.mark.system


@pytest.fixture
def debians(open_folder: Path) -> Iterator[str]:
    """An empty database on Debian's PostgreSQL."""
    (binaries,) = Path("/usr/lib/postgresql").glob("*/bin")
    with EmbeddedPostgres(open_folder, prefer=binaries) as server:
        yield server.dsn


def rows(conninfo: str) -> dict[str, Any]:
    """All that is in it; how PostgreSQL describes a schema differs a little from version to version."""
    return {name: held for name, held in state(conninfo).items() if name != "shape"}


def test_an_archive_goes_there_and_back(databases: Any, debians: str, database: str, tmp_path: Path) -> None:
    with prepared(databases) as conninfo:
        with running(conninfo) as server, http(server.address) as api:
            everything(api, conninfo)
        assert sql(conninfo, "SHOW server_version") != sql(debians, "SHOW server_version")
        verbs.move(conninfo, debians)
        assert rows(debians) == rows(conninfo)
        back = verbs.back_up(debians, tmp_path / "back")
        assert back.members == verbs.back_up(conninfo, tmp_path / "there").members
        verbs.restore(database, tmp_path / "back")
        assert state(database) == state(conninfo)
        verbs.restore(debians, tmp_path / "there", replace=True)
        assert rows(debians) == rows(conninfo)
        assert migrate(debians) == back.contents.schema
