"""The statements: one `.sql` file each, named `noun/verb`, with named parameters. Only `where.py` composes others.

Lists travel as binary arrays (`%(name)b`): psycopg's default text arrays cost twenty times as much.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row, scalar_row, tuple_row

Row = TypeVar("Row")
Connection = AsyncConnection[Any]


LONGEST = 4096
"""Characters of a statement (psycopg 3.3, `MAX_CACHED_STATEMENT_LENGTH`)."""


@cache
def statement(name: str) -> LiteralString:
    """The text of one statement, without indentation and further comments: what is longer than `LONGEST`, psycopg
    parses anew each time."""
    first, *others = files("qchive.db").joinpath("sql", f"{name}.sql").read_text().splitlines()
    return "\n".join([first, *(text for line in others if not (text := line.strip()).startswith("--"))])


def names() -> list[str]:
    """All statements there are."""
    root = files("qchive.db").joinpath("sql")
    return sorted(f"{noun.name}/{f.name.removesuffix('.sql')}" for noun in root.iterdir() for f in noun.iterdir())


async def rows(conn: Connection, name: str, row: type[Row], /, **params: Any) -> list[Row]:
    """All rows of a statement, each as a `row`."""
    async with conn.cursor(binary=True, row_factory=class_row(row)) as cur:
        await cur.execute(statement(name), params)
        return await cur.fetchall()


async def tuples(conn: Connection, name: str, /, **params: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement, as tuples."""
    async with conn.cursor(binary=True, row_factory=tuple_row) as cur:
        await cur.execute(statement(name), params)
        return await cur.fetchall()


async def column(conn: Connection, name: str, /, **params: Any) -> list[Any]:
    """The first column of a statement's rows."""
    async with conn.cursor(binary=True, row_factory=scalar_row) as cur:
        await cur.execute(statement(name), params)
        return await cur.fetchall()


async def execute(conn: Connection, name: str, /, **params: Any) -> int:
    """Run a statement that answers nothing; how many rows it touched."""
    async with conn.cursor() as cur:
        await cur.execute(statement(name), params)
        return cur.rowcount


async def composed(conn: Connection, text: str, params: dict[str, Any]) -> list[Any]:
    """The first column of a statement that `where.py` composed."""
    return [row[0] for row in await composed_tuples(conn, text, params)]


async def composed_tuples(conn: Connection, text: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a statement that `where.py` composed."""
    async with conn.transaction(), conn.cursor(binary=True, row_factory=tuple_row) as cur:
        await column(conn, "transactions/plan_anew")
        await cur.execute(text.encode(), params)
        return await cur.fetchall()
