"""What needs no answer in between travels together, and fails as it would alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, LiteralString

import msgspec
import psycopg
import pytest
from psycopg import errors

from qchive.db.connection import BEGIN, Connection, Statement
from qchive.db.migrate import migrate
from qchive.db.pool import Database


def ask(conn: Connection, text: LiteralString, /, **params: Any) -> Any:
    return conn.queue(Statement.of(text, text), params)


def with_connection(conninfo: str, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with await Connection.connect(conninfo, autocommit=True) as conn:
            return await work(conn)

    return asyncio.run(run())


def test_what_is_queued_is_answered_together(database: str) -> None:
    class Pair(msgspec.Struct):
        b: str
        a: int

    async def work(conn: Connection) -> Any:
        one, two = ask(conn, "SELECT %(x)b::bigint AS a, 'é' AS b", x=7), ask(conn, "SELECT 1 WHERE false")
        assert not one.here
        await conn.flush()
        return one.rows(Pair), one.tuples(), one.column(), two.tuples(), one.count

    assert with_connection(database, work) == ([Pair("é", 7)], [(7, "é")], [7], [], 1)


def test_what_comes_behind_a_failure_is_not_run_and_the_connection_goes_on(database: str) -> None:
    async def work(conn: Connection) -> Any:
        ask(conn, "CREATE TABLE t (i bigint)")
        await conn.flush()
        conn.queue(BEGIN, {})
        ask(conn, "SELECT 1 / %(n)b::bigint", n=0)
        ask(conn, "INSERT INTO t VALUES (1)")
        with pytest.raises(errors.DivisionByZero):
            await conn.flush()
        await conn.rollback()
        count = ask(conn, "SELECT count(*) FROM t")
        await conn.flush()
        return count.column()

    assert with_connection(database, work) == [0]


def test_a_statement_that_cannot_be_prepared_may_be_asked_again(database: str) -> None:
    async def work(conn: Connection) -> Any:
        for _ in range(2):
            ask(conn, "SELECT * FROM late")
            with pytest.raises(errors.UndefinedTable):
                await conn.flush()
        await conn.execute("CREATE TABLE late (i bigint)")
        late = ask(conn, "SELECT * FROM late")
        await conn.flush()
        return late.tuples()

    assert with_connection(database, work) == []


def test_a_wait_that_is_cut_short_leaves_a_connection_that_works(database: str) -> None:
    async def work(conn: Connection) -> Any:
        ask(conn, "SELECT pg_sleep(60)")
        ask(conn, "SELECT 1")
        waiting = asyncio.create_task(conn.flush())
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
            asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = %s"
            while not (await other.execute(asleep, (conn.info.backend_pid,))).rowcount:
                await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        one = ask(conn, "SELECT 1")
        await conn.flush()
        return one.column()

    assert with_connection(database, work) == [1]


def test_a_transaction_whose_last_statements_fail_at_commit_is_tried_again_or_rolled_back(database: str) -> None:
    migrate(database)
    tries: list[int] = []

    async def transient(conn: Connection) -> int:
        tries.append(len(tries))
        ask(conn, "INSERT INTO setting VALUES ('x', '1')")
        if len(tries) == 1:
            ask(conn, "DO $$ BEGIN RAISE deadlock_detected; END $$")
        return len(tries)

    async def lasting(conn: Connection) -> None:
        ask(conn, "INSERT INTO setting VALUES ('y', '1')")
        ask(conn, "INSERT INTO setting VALUES ('x', '1')")

    async def run() -> int:
        db = Database(database)
        await db.open()
        try:
            done = await db.run(transient)
            with pytest.raises(errors.UniqueViolation):
                await db.run(lasting)
            await db.run(lambda conn: asyncio.sleep(0))
            return done
        finally:
            await db.close()

    assert asyncio.run(run()) == 2
    with psycopg.connect(database) as conn:
        assert conn.execute("SELECT key FROM setting WHERE key IN ('x', 'y')").fetchall() == [("x",)]
