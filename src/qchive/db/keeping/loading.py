"""Putting a copy into a database, in one transaction: all of it is there afterwards, or nothing has changed."""

from __future__ import annotations

import time
from collections.abc import Callable

from qchive.db import migrate, statements
from qchive.db.keeping import catalogue
from qchive.db.keeping.catalogue import Conn, Contents
from qchive.db.keeping.snapshot import Source
from qchive.errors import BackupDamaged, NotEmpty, StillConnected, WrongSchema

_GRACE = 2.0

Tell = Callable[[str, int], None]
"""Told what is being worked on, and how many bytes of it have just been done."""


def load(conn: Conn, source: Source, tell: Tell, *, replace: bool = False) -> None:
    """Fill the database with a copy, under the schema it was made with; the caller brings it forward and commits.

    Raises:
        NotEmpty: there is something in the database, and it is not to be replaced.
        StillConnected: somebody else works with it.
        WrongSchema: the copy is newer than this release.
        BackupDamaged: the copy is not what its contents say.
    """
    contents = source.contents
    migrate.lock(conn)
    statements.ask(conn, "transactions/plain")
    check(conn, contents, replace=replace)
    for (drop,) in statements.ask(conn, "catalogue/drops"):
        conn.execute(drop)
    conn.execute(migrate.schema(contents.schema))
    _shape(conn, contents)
    put_aside = [*statements.ask(conn, "catalogue/foreign_keys"), *statements.ask(conn, "catalogue/indexes")]
    for away, _ in put_aside:
        conn.execute(away)
    for table in contents.tables:
        _fill(conn, source, table, tell)
    tell("indexes", 0)
    for _, back in reversed(put_aside):  # indexes first: foreign keys are checked with them
        conn.execute(back)
    names, lasts = [s.name for s in contents.sequences], [s.last for s in contents.sequences]
    statements.ask(conn, "catalogue/advance", names=names, lasts=lasts)


def check(conn: Conn, contents: Contents, *, replace: bool = False) -> None:
    """Whether `load` would begin; it raises the same as that, but for damages."""
    not_newer(contents)
    alone(conn)
    if not replace and not is_empty(conn):
        raise NotEmpty(
            f"The database {conn.info.dbname} is not empty: use a new one, or say that all it holds is to be replaced"
        )


def not_newer(contents: Contents) -> None:
    """Refuse what this release does not know.

    Raises:
        WrongSchema: a newer release made this copy.
    """
    if contents.schema > migrate.VERSION:
        raise WrongSchema(
            f"This copy has schema {contents.schema}, this release knows up to {migrate.VERSION}: install the release "
            f"that made it, QCHive {contents.qchive}, or a newer one"
        )


def alone(conn: Conn) -> None:
    """See that nobody else is connected. A connection that has just been closed takes PostgreSQL a moment.

    Raises:
        StillConnected: somebody is.
    """
    deadline = time.monotonic() + _GRACE
    while (others := statements.ask(conn, "catalogue/connected")) and time.monotonic() < deadline:
        time.sleep(0.05)
        statements.ask(conn, "catalogue/look_again")
    if others:
        programs = [
            f"{name or 'a program'} (process {pid}{f' from {place}' if place else ''})" for pid, name, place in others
        ]
        raise StillConnected(
            f"The database {conn.info.dbname} is in use by {', '.join(programs)}: end servers and upkeep first",
            programs=programs,
        )


def is_empty(conn: Conn) -> bool:
    """Whether the database holds nothing that a copy could meet."""
    return not statements.ask(conn, "catalogue/drops")


def _shape(conn: Conn, contents: Contents) -> None:
    """See that tables and columns are those of the copy, and make its parts."""
    here = {table.name: set(table.columns) for table in catalogue.tables(conn)}
    there = {table.name: set(table.columns) for table in contents.tables}
    if here != there:
        different = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
        raise BackupDamaged(f"Schema {contents.schema} has other tables than this copy: {', '.join(different)}")
    made = catalogue.parts(conn)
    for part in made:
        if part not in contents.parts:
            conn.execute(catalogue.drop_part(part))
    for part in contents.parts:
        if part not in made:
            conn.execute(catalogue.make_part(part))


def _fill(conn: Conn, source: Source, table: catalogue.Table, tell: Tell) -> None:
    with conn.cursor() as cur:
        with cur.copy(catalogue.copy_in(table)) as copy:
            for chunk in source.stream(table):
                copy.write(chunk)
                tell(table.name, len(chunk))
        if cur.rowcount != source.rows(table):
            raise BackupDamaged(f"{table.name} has {cur.rowcount} rows here, and {source.rows(table)} in the copy")
