"""One of several upkeep processes leads: the one that holds an advisory lock. PostgreSQL frees it when it dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg

from qchive.server.upkeep.together import end

log = logging.getLogger("qchive.upkeep")

_LOCK = 0x51_43_48_55_50  # "QCHUP"
RETRY = 2.0
"""Seconds between tries to become the leader."""
PULSE = 5.0
"""Seconds between looks whether the lock, that is its connection, still stands."""


async def lead(conninfo: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` whenever this process leads; stop it when the lock is lost. Never returns."""
    while True:
        with suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
                cursor = await conn.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
                row = await cursor.fetchone()
                if row is not None and row[0]:
                    await _while_held(conn, work)
        await asyncio.sleep(RETRY)


async def _while_held(conn: psycopg.AsyncConnection[tuple[object, ...]], work: Callable[[], Awaitable[None]]) -> None:
    log.info("this process leads")
    task = asyncio.ensure_future(work())
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=PULSE)
            await conn.execute("SELECT 1")
        task.result()
    finally:
        await end([task])
