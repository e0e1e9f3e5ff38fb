"""What people ask for: back up, look at a backup, restore, move to another PostgreSQL, upgrade."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psycopg

from qchive.db import migrate
from qchive.db.keeping import catalogue, file, loading
from qchive.db.keeping.catalogue import Contents
from qchive.db.keeping.loading import Tell
from qchive.db.keeping.snapshot import connected, snapshot
from qchive.errors import DatabaseFailed


class Upgrade(msgspec.Struct, frozen=True):
    """A way from one schema to another."""

    found: int
    """The version that the database has; 0: it is empty."""
    steps: tuple[str, ...]
    """What each migration on the way is for."""


def silent(what: str, done: int) -> None:
    """Tell nobody."""


def back_up(conninfo: str, path: Path, tell: Tell = silent) -> file.Manifest:
    """Write one state of a live database to a new file, while requests go on.

    Raises:
        BackupRefused: the file is there already or cannot be written.
        DatabaseFailed: the database ended meanwhile; there is no file then.
    """
    with file.written(path) as to, snapshot(conninfo) as source:
        return file.write(to, source, tell)


def examine(path: Path, tell: Tell = silent) -> file.Manifest:
    """What a backup holds, after all of it has been compared with its hashes.

    Raises:
        BackupDamaged: it is not what was written.
        WrongSchema: a newer release wrote it.
    """
    with file.opened(path) as source:
        loading.not_newer(source.contents)
        source.verify(tell)
        return source.manifest


def restore(conninfo: str, path: Path, tell: Tell = silent, *, replace: bool = False) -> Contents:
    """Fill a database with a backup, and bring it to the present schema: all of it or nothing.

    Raises:
        NotEmpty: the database holds something, and it is not to be replaced.
        BackupDamaged: the backup is not what was written.
        WrongSchema: a newer release wrote it.
        StillConnected: somebody works with the database.
    """
    with file.opened(path) as source:
        with connected(conninfo) as conn:
            loading.check(conn, source.contents, replace=replace)
            conn.rollback()
            source.verify(tell)
            loading.load(conn, source, tell, replace=replace)
            migrate.forward(conn)
        _analyze(conninfo, tell)
        return source.contents


def is_empty(conninfo: str) -> bool:
    """Whether a database can be filled without losing anything."""
    with connected(conninfo) as conn:
        return loading.is_empty(conn)


def name_of(conninfo: str) -> str:
    """The name of a database."""
    with connected(conninfo) as conn:
        return str(conn.info.dbname)


def move(source: str, target: str, tell: Tell = silent) -> Contents:
    """Copy a database into an empty one, compare all rows of both, and bring the new one to the present schema.

    The first one stays as it is; nobody should be working with it.

    Raises:
        NotEmpty: there is something in the target.
        DatabaseFailed: one of them ended, or they differ in the end; the target is as it was.
    """
    with snapshot(source) as taken, connected(target) as conn:
        loading.load(conn, taken, tell)
        for table in taken.contents.tables:
            tell(f"comparing {table.name}", 0)
            here, there = catalogue.digests(taken.conn, [table]), catalogue.digests(conn, [table])
            if here != there:
                raise DatabaseFailed(f"{table.name} is not the same in both: {here} and {there}; nothing was copied")
        migrate.forward(conn)
    _analyze(target, tell)
    return taken.contents


def plan(conninfo: str, *, alone: bool = False) -> Upgrade:
    """What an upgrade would do.

    Raises:
        WrongSchema: the database was made by a newer release.
        StillConnected: somebody else is connected, and we were to be `alone`.
    """
    with connected(conninfo) as conn:
        if alone:
            loading.alone(conn)
        found = migrate.present(conn)
    return Upgrade(found, tuple(migrate.purpose(step) for step in migrate.steps(found)))


def upgrade(conninfo: str, *, connected_too: bool = False) -> Upgrade:
    """Bring a database to the present schema; an empty one gets it.

    Raises:
        StillConnected: servers or others are connected, and `connected_too` is not set.
        WrongSchema: it was made by a newer release.
    """
    with connected(conninfo) as conn:
        migrate.lock(conn)
        if not connected_too:
            loading.alone(conn)
        found = migrate.forward(conn)
    return Upgrade(found, tuple(migrate.purpose(step) for step in migrate.steps(found)))


def _analyze(conninfo: str, tell: Tell) -> None:
    """Let PostgreSQL count what it has got: until then it plans as if everything were empty."""
    tell("statistics", 0)
    try:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute("ANALYZE")
    except psycopg.Error as error:
        raise DatabaseFailed(f"All is there, but ANALYZE failed; run it yourself. PostgreSQL: {error}") from error
