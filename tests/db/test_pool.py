"""Transactions are done once, even when nobody hears that they were."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import psycopg
import pytest

from qchive.db.migrate import migrate
from qchive.db.pool import Database
from qchive.errors import Unavailable

GATE = 4711
"""The advisory lock that COMMIT waits for."""

SLOW_COMMIT = f"""
CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock({GATE}); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON setting DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
"""


async def commit_is_waiting(gate: psycopg.AsyncConnection[Any]) -> None:
    """Return once a COMMIT waits at the gate."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while (await (await gate.execute(waiting)).fetchone()) == (0,):
        await asyncio.sleep(0)


async def cut_in_the_middle_of_commit(conninfo: str, *, committed: bool) -> tuple[int, int]:
    """One transaction whose connection is cut while it commits; how often its work ran, and how often it is there."""
    db = Database(conninfo, patience=20.0)
    await db.open()
    runs: list[psycopg.AsyncConnection[Any]] = []

    async def work(conn: psycopg.AsyncConnection[Any]) -> int:
        runs.append(conn)
        await conn.execute("INSERT INTO setting VALUES (%s, '1')", (f"run {len(runs)}",))
        return len(runs)

    try:
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as gate:
            await gate.execute("SELECT pg_advisory_lock(%s)", (GATE,))
            task = asyncio.create_task(db.run(work))
            await commit_is_waiting(gate)
            if not committed:
                await gate.execute("SELECT pg_terminate_backend(%s)", (runs[0].info.backend_pid,))
            else:
                with socket.socket(fileno=os.dup(runs[0].fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)
            await gate.execute("SELECT pg_advisory_unlock(%s)", (GATE,))
            answer = await task
            cursor = await gate.execute("SELECT count(*) FROM setting WHERE key LIKE 'run %'")
            (there,) = await cursor.fetchone() or (0,)
        assert answer == len(runs)
        return len(runs), there
    finally:
        await db.close()


@pytest.fixture
def slow_to_commit(database: str) -> str:
    """A database whose commits wait at the gate."""
    migrate(database)
    with psycopg.connect(database) as conn:
        conn.execute(SLOW_COMMIT)
    return database


def test_a_commit_whose_answer_was_lost_is_not_done_again(slow_to_commit: str) -> None:
    assert asyncio.run(cut_in_the_middle_of_commit(slow_to_commit, committed=True)) == (1, 1)


def test_a_commit_that_did_not_happen_is_done_again(slow_to_commit: str) -> None:
    assert asyncio.run(cut_in_the_middle_of_commit(slow_to_commit, committed=False)) == (2, 1)


def test_a_database_that_stays_away_is_said_to_be() -> None:
    async def ask() -> None:
        db = Database("postgresql://127.0.0.1:1/nobody", patience=0.2)
        await db.open()
        try:
            await db.read(lambda conn: conn.execute("SELECT 1"))
        finally:
            await db.close()

    with pytest.raises(Unavailable):
        asyncio.run(ask())
