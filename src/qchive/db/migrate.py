"""Bringing a database to the present schema: a new one from `schema.sql`, an old one step by step, forward only.

`schemas/` keeps the schemas of earlier releases, as new databases got them: what was backed up under one is restored
under it, and then brought forward.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import psycopg

from qchive.errors import DatabaseFailed, OldSchema, WrongSchema

VERSION = 2
"""The schema this release works on: the number of the newest file in `migrations/`, or 1 for the first schema."""

_LOCK = 0x51_43_48_49_56_45  # "QCHIVE": one process migrates, the others wait and find it done


def migrate(conninfo: str) -> int:
    """Make the database fit this release; returns the version it had (0: it was empty).

    Raises:
        WrongSchema: it was made by a newer release.
        DatabaseFailed: it cannot be reached.
    """
    with _connected(conninfo) as conn:
        lock(conn)
        return forward(conn)


def _connected(conninfo: str) -> psycopg.Connection[Any]:
    try:
        return psycopg.connect(conninfo)
    except psycopg.OperationalError as error:
        raise DatabaseFailed(f"PostgreSQL: {error}") from error


def check(conninfo: str) -> None:
    """See that the database fits this release, and change nothing.

    Raises:
        OldSchema: it was made by an older release, or holds nothing yet.
        WrongSchema: it was made by a newer release.
        DatabaseFailed: it cannot be reached.
    """
    with _connected(conninfo) as conn:
        found = present(conn)
    if found == VERSION:
        return
    has = f"has schema {found}" if found else "is empty"
    raise OldSchema(f"The database {has}, this release works on {VERSION}: run `qchive upgrade`", found=found)


def lock(conn: psycopg.Connection[Any]) -> None:
    """Keep everybody else from changing the schema until this transaction ends."""
    conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def forward(conn: psycopg.Connection[Any]) -> int:
    """Make the database fit this release within the transaction that holds the lock; the version it had."""
    found = present(conn)
    if found == 0:
        conn.execute(schema(VERSION))
    for step in steps(found):
        conn.execute(_text(f"migrations/{step:04}.sql"))
    if found != VERSION:
        conn.execute(
            "INSERT INTO setting VALUES ('schema', to_jsonb(%s::int))"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (VERSION,),
        )
    return found


def present(conn: psycopg.Connection[Any]) -> int:
    """The version of the schema that the database has; 0: it has none.

    Raises:
        WrongSchema: it is newer than this release.
    """
    row = conn.execute("SELECT to_regclass('setting')").fetchone()
    if row is None or row[0] is None:
        return 0
    found = conn.execute("SELECT (value #>> '{}')::int FROM setting WHERE key = 'schema'").fetchone()
    version = int(str(found[0])) if found else 0
    if version > VERSION:
        raise WrongSchema(
            f"This database has schema {version}, this release knows up to {VERSION}: install the newer release"
        )
    return version


def steps(found: int) -> range:
    """The migrations that lead from a version to the present one; none from 0."""
    return range(found + 1 if found else VERSION + 1, VERSION + 1)


def purpose(step: int) -> str:
    """What a migration is for: its first line."""
    return _text(f"migrations/{step:04}.sql").decode().split("\n", 1)[0].removeprefix("-- ")


def schema(version: int) -> bytes:
    """The statements that make an empty database one of that version."""
    return _text("schema.sql" if version == VERSION else f"schemas/{version:04}.sql")


def tables(version: int) -> frozenset[str]:
    """The names of the tables that a schema makes."""
    return frozenset(name.decode() for name in re.findall(rb"^CREATE (?:UNLOGGED )?TABLE (\w+)", schema(version), re.M))


def _text(name: str) -> bytes:
    return files("qchive.db").joinpath(name).read_bytes()
