"""One state of a live database, read table by table while everybody goes on working."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

import psycopg
from psycopg import IsolationLevel, errors

from qchive._version import __version__
from qchive.db import migrate, statements
from qchive.db.keeping import catalogue
from qchive.db.keeping.catalogue import Conn, Contents, Table
from qchive.errors import DatabaseFailed, NoArchive

CHUNK = 1 << 18
"""Bytes that travel together, about: rows are small, and each step costs."""

_TRIES = 5
OLDEST = 150000


class Source(Protocol):
    """Where a copy comes from."""

    @property
    def contents(self) -> Contents:
        """Everything there is."""

    def stream(self, table: Table) -> Iterator[bytes]:
        """The rows of a table, as COPY has them."""

    def rows(self, table: Table) -> int:
        """How many these were, after the stream has ended."""


class Snapshot:
    """A `Source`: all tables of a database as of one moment."""

    def __init__(self, conn: Conn, contents: Contents) -> None:
        self.conn = conn
        self.contents = contents
        self._rows: dict[str, int] = {}

    def stream(self, table: Table) -> Iterator[bytes]:
        """The rows of a table, in chunks of a quarter of a MiB or so; the table is never in memory."""
        with self.conn.cursor() as cur:
            with cur.copy(catalogue.copy_out(table)) as copy:
                gathered: list[bytes] = []
                size = 0
                while row := copy.read():
                    gathered.append(bytes(row))
                    size += len(row)
                    if size >= CHUNK:
                        yield b"".join(gathered)
                        gathered, size = [], 0
                yield b"".join(gathered)
            self._rows[table.name] = cur.rowcount

    def rows(self, table: Table) -> int:
        """How many rows the table has, after its stream has ended."""
        return self._rows[table.name]


@contextmanager
def connected(conninfo: str) -> Iterator[Conn]:
    """A connection for work on the whole database; whatever PostgreSQL says is said as `DatabaseFailed`."""
    try:
        with psycopg.connect(conninfo, fallback_application_name=f"qchive {__version__} keeping") as conn:
            if conn.info.server_version < OLDEST:
                raise DatabaseFailed(
                    f"This PostgreSQL is too old: {conn.info.server_version // 10000}, not 15 or newer"
                )
            yield conn
    except psycopg.Error as error:
        raise DatabaseFailed(f"PostgreSQL: {error}") from error


@contextmanager
def snapshot(conninfo: str) -> Iterator[Snapshot]:
    """One state of a database, while the context lasts.

    Its tables cannot be dropped or migrated meanwhile; requests go on.

    Raises:
        DatabaseFailed: it cannot be reached, or ends.
        NoArchive: it holds none.
        WrongSchema: it was made by a newer release.
    """
    with connected(conninfo) as conn:
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        for _ in range(_TRIES):
            if (taken := _taken(conn)) is not None:
                yield Snapshot(conn, taken)
                return
        raise DatabaseFailed("Tables come and go all the time: try again when nobody upgrades this database")


def _taken(conn: Conn) -> Contents | None:
    """The contents as of now, in a transaction that goes on; None if tables changed just then."""
    seen = catalogue.tables(conn), catalogue.parts(conn)
    conn.rollback()
    if not seen[0]:
        raise NoArchive("This database holds no archive")
    try:
        # LOCK is the first statement: PostgreSQL takes the snapshot with the one after it.
        conn.execute(catalogue.lock(table.name for table in seen[0]))
    except errors.UndefinedTable:
        conn.rollback()
        return None
    statements.ask(conn, "transactions/plain")
    found, parts = catalogue.tables(conn), catalogue.parts(conn)
    if not _same(found, seen[0]):
        conn.rollback()
        return None
    version = migrate.present(conn)
    if not version:
        raise NoArchive("This database holds no archive of QCHive")
    ours = migrate.tables(version)
    return Contents(
        schema=version,
        qchive=__version__,
        postgres=str(conn.info.parameter_status("server_version")),
        taken=datetime.now(UTC),
        tables=tuple(table for table in found if table.name in ours),
        parts=tuple(part for part in parts if part.of in ours),
        sequences=tuple(one for one in catalogue.sequences(conn) if one.of in ours),
        left_out=tuple(table.name for table in found if table.name not in ours),
    )


def _same(one: tuple[Table, ...], other: tuple[Table, ...]) -> bool:
    return [(t.name, t.columns) for t in one] == [(t.name, t.columns) for t in other]
