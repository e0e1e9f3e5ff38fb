"""Bringing a database to the present schema: a new one from `schema.sql`, an old one step by step, forward only."""

from __future__ import annotations

from importlib.resources import files

import psycopg

from qchive.errors import WrongSchema

VERSION = 2
"""The schema this release works on: the number of the newest file in `migrations/`, or 1 for the first schema."""

_LOCK = 0x51_43_48_49_56_45  # "QCHIVE": one process migrates, the others wait and find it done


def migrate(conninfo: str) -> int:
    """Make the database fit this release; returns the version it had (0: it was empty).

    Raises:
        WrongSchema: it was made by a newer release.
    """
    with psycopg.connect(conninfo) as conn:
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = _version(conn)
        if found > VERSION:
            raise WrongSchema(
                f"This database has schema {found}, this release knows up to {VERSION}: install the newer release"
            )
        if found == 0:
            conn.execute(_text("schema.sql"))
        for step in range(found + 1 if found else VERSION + 1, VERSION + 1):
            conn.execute(_text(f"migrations/{step:04}.sql"))
        if found != VERSION:
            conn.execute(
                "INSERT INTO setting VALUES ('schema', to_jsonb(%s::int))"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (VERSION,),
            )
        return found


def _version(conn: psycopg.Connection[tuple[object, ...]]) -> int:
    row = conn.execute("SELECT to_regclass('setting')").fetchone()
    if row is None or row[0] is None:
        return 0
    found = conn.execute("SELECT (value #>> '{}')::int FROM setting WHERE key = 'schema'").fetchone()
    return int(str(found[0])) if found else 0


def _text(name: str) -> bytes:
    return files("qchive.db").joinpath(name).read_bytes()
