"""What a database holds, from PostgreSQL's catalogue, and the statements that are composed from it.

This is the one place for these: they name tables and columns, which no parameter can. Tables that a later schema
brings are found here by themselves; there is no list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from qchive.db import statements
from qchive.errors import BackupDamaged

Conn = psycopg.Connection[Any]


class Table(msgspec.Struct, frozen=True):
    """A table, or all parts of one."""

    name: str
    in_parts: bool
    columns: tuple[str, ...]
    binary: bool
    """Whether its rows travel in PostgreSQL's binary format; else as text."""
    size: int
    """Bytes on disk, about."""


class Part(msgspec.Struct, frozen=True):
    """A part of a table, and what it takes."""

    name: str
    of: str
    bound: str


class Sequence(msgspec.Struct, frozen=True):
    """A sequence, the last number it gave, and the table it numbers."""

    name: str
    last: int
    of: str


class Contents(msgspec.Struct, frozen=True):
    """Everything there is to copy."""

    schema: int
    qchive: str
    postgres: str
    taken: datetime
    tables: tuple[Table, ...]
    parts: tuple[Part, ...]
    sequences: tuple[Sequence, ...]
    left_out: tuple[str, ...]
    """Tables that are not QCHive's: no schema would make them again."""


def tables(conn: Conn) -> tuple[Table, ...]:
    """All tables, by name."""
    return tuple(Table(n, p, tuple(c), b, s) for n, p, c, b, s in statements.ask(conn, "catalogue/tables"))


def parts(conn: Conn) -> tuple[Part, ...]:
    """All parts of tables, by name."""
    return tuple(Part(*row) for row in statements.ask(conn, "catalogue/parts"))


def sequences(conn: Conn) -> tuple[Sequence, ...]:
    """All sequences that have been used, by name."""
    return tuple(Sequence(*row) for row in statements.ask(conn, "catalogue/sequences"))


def lock(names: Iterable[str]) -> sql.Composed:
    """Keep tables from being changed in their shape or dropped. Reading and writing them goes on."""
    return sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(_listed(names))


def copy_out(table: Table) -> sql.Composed:
    """Send all rows, those of a table in parts too."""
    text = "COPY (SELECT {} FROM {}) TO STDOUT ({})"
    return sql.SQL(text).format(_listed(table.columns), sql.Identifier(table.name), _format(table))


def copy_in(table: Table) -> sql.Composed:
    """Take all rows into a table made in this transaction. FREEZE: no later pass has to mark them as old."""
    options = _format(table) if table.in_parts else sql.SQL("{}, FREEZE").format(_format(table))
    return sql.SQL("COPY {} ({}) FROM STDIN ({})").format(sql.Identifier(table.name), _listed(table.columns), options)


def digest(table: Table) -> sql.Composed:
    """How many rows, and a sum over the hashes of all of them as text, whatever their order."""
    text = "SELECT count(*), coalesce(sum(('x' || left(md5(ROW({})::text), 16))::bit(64)::bigint), 0)::text FROM {}"
    return sql.SQL(text).format(_listed(table.columns), sql.Identifier(table.name))


def drop_part(part: Part) -> sql.Composed:
    """Remove a part of a table."""
    return sql.SQL("DROP TABLE {}").format(sql.Identifier(part.name))


def make_part(part: Part) -> sql.Composed:
    """Make a part of a table for a span of time.

    Raises:
        BackupDamaged: it says something else than a span of time.
    """
    # A bound cannot be a parameter, and it comes from a file: only its two times are taken, as literals.
    words = part.bound.split("'")
    if len(words) != 5 or [words[0], words[2], words[4]] != ["FOR VALUES FROM (", ") TO (", ")"]:
        raise BackupDamaged(f"The part {part.name} of {part.of} has limits that nobody can make: {part.bound}")
    return sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
        sql.Identifier(part.name), sql.Identifier(part.of), sql.Literal(words[1]), sql.Literal(words[3])
    )


def digests(conn: Conn, of: Iterable[Table]) -> Mapping[str, tuple[int, str]]:
    """The digest of each table."""
    found = {}
    for table in of:
        row = conn.execute(digest(table)).fetchone()
        assert row is not None
        found[table.name] = (int(row[0]), str(row[1]))
    return found


def _format(table: Table) -> sql.SQL:
    return sql.SQL("FORMAT binary") if table.binary else sql.SQL("FORMAT text, ENCODING 'UTF8'")


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
