"""The statements: one `.sql` file each, named `noun/verb`, with named parameters. Only `where.py` composes others.

Lists travel as binary arrays (`%(name)b`), packed by `binary.py`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import tuple_row

from qchive.db.connection import Answer, Connection, Statement

Row = TypeVar("Row")


@cache
def statement(name: str) -> LiteralString:
    """The text of one statement."""
    return files("qchive.db").joinpath("sql", f"{name}.sql").read_text()


@cache
def prepared(name: str) -> Statement:
    """One statement as connections prepare it."""
    return Statement.of(name, statement(name))


def names() -> list[str]:
    """All statements there are."""
    root = files("qchive.db").joinpath("sql")
    return sorted(f"{noun.name}/{f.name.removesuffix('.sql')}" for noun in root.iterdir() for f in noun.iterdir())


def later(conn: Connection, name: str, /, **params: Any) -> Answer:
    """Send a statement together with the next one, or with COMMIT; its answer is there when that one's is."""
    return conn.queue(prepared(name), params)


async def rows(conn: Connection, name: str, row: type[Row], /, **params: Any) -> list[Row]:
    """All rows of a statement, each as a `row`."""
    return (await _ask(conn, name, params)).rows(row)


async def tuples(conn: Connection, name: str, /, **params: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement, as tuples."""
    return (await _ask(conn, name, params)).tuples()


async def column(conn: Connection, name: str, /, **params: Any) -> list[Any]:
    """The first column of a statement's rows."""
    return (await _ask(conn, name, params)).column()


async def execute(conn: Connection, name: str, /, **params: Any) -> int:
    """Run a statement that answers nothing; how many rows it touched."""
    return (await _ask(conn, name, params)).count


def ask(conn: psycopg.Connection[Any], name: str, /, **params: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement, for commands that work on a whole database and serve nobody meanwhile."""
    return conn.execute(statement(name), params).fetchall()


async def _ask(conn: Connection, name: str, params: dict[str, Any]) -> Answer:
    answer = conn.queue(prepared(name), params)
    await conn.flush()
    return answer


async def composed(conn: Connection, text: str, params: dict[str, Any]) -> list[Any]:
    """The first column of a statement that `where.py` composed."""
    return [row[0] for row in await composed_tuples(conn, text, params)]


async def composed_tuples(conn: Connection, text: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a statement that `where.py` composed."""
    await conn.flush()
    async with conn.transaction(), conn.cursor(binary=True, row_factory=tuple_row) as cur:
        await column(conn, "transactions/plan_anew")
        await cur.execute(text.encode(), params)
        return await cur.fetchall()
