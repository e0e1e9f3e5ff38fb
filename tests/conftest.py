"""A real PostgreSQL for the tests: one server per pytest process, a fresh database per test."""

from __future__ import annotations

import itertools
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Tests are about behaviour, not about disks: only here may a server forget what it was told.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """No test may leave signals blocked: every process started later would inherit that, and not hear SIGTERM."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    assert signal.pthread_sigmask(signal.SIG_SETMASK, before) == before


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A fresh folder that every user may enter; pytest's own `tmp_path` is closed to PostgreSQL's user as root."""
    folder = Path(tempfile.mkdtemp(prefix="qchive-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """The session's server, an `EmbeddedPostgres`; `postgres.dsn` is a superuser's connection to an empty database."""
    from qchive.db.embedded import EmbeddedPostgres

    data = Path(tempfile.mkdtemp(prefix="qchive-test-"))
    data.chmod(0o755)
    with EmbeddedPostgres(data, settings=FORGETFUL) as server:
        yield server
    shutil.rmtree(data, ignore_errors=True)


class Databases:
    """Databases on the session's server: templates prepared once, copies of them (or empty ones) for single tests."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._templates: set[str] = set()
        self._numbers = itertools.count(1)

    def template(self, name: str, prepare: Callable[[str], Any]) -> str:
        """Make the template `name` by running `prepare(conninfo)` on an empty database, once per session."""
        if name not in self._templates:
            self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
            prepare(self._dsn_of(name))
            self._templates.add(name)
        return name

    @contextmanager
    def fresh(self, template: str = "template0") -> Iterator[str]:
        """The conninfo of a new copy of a template, dropped afterwards."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self._dsn_of(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _dsn_of(self, name: str) -> str:
        return self._dsn.replace("/qchive?", f"/{name}?", 1)

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def databases(postgres: Any) -> Databases:
    """Makes databases: `databases.template(name, prepare)`, `with databases.fresh(template) as conninfo`."""
    return Databases(postgres.dsn)


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The conninfo of an empty database of its own."""
    with databases.fresh() as conninfo:
        yield conninfo


@pytest.fixture
def archive(databases: Databases) -> Iterator[Any]:
    """A server of ours on a fresh database, with default settings: `archive.address`, `archive.conninfo`."""
    from tests.archive import prepared, running

    with prepared(databases) as conninfo, running(conninfo) as server:
        yield server
