"""Hearing at once what happens to jobs, on a connection that comes back after PostgreSQL was away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import psycopg

from qchive.server.jobs import CHANNEL

log = logging.getLogger("qchive.upkeep")

PULSE = 30.0
"""Seconds between looks whether the connection still stands."""
RETRY = 0.5
"""Seconds between tries to connect."""


async def listen(conninfo: str, told: Callable[[int | None], None]) -> None:
    """Call `told` with the id of each job that something happened to, and with None when any may have been missed.
    Never returns."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
                await conn.execute(f"LISTEN {CHANNEL}".encode())
                told(None)
                await _hear(conn, told)
        except psycopg.OperationalError as trouble:
            log.info("jobs are not announced just now: %s", trouble)
        await asyncio.sleep(RETRY)


async def _hear(conn: psycopg.AsyncConnection[Any], told: Callable[[int | None], None]) -> None:
    while True:
        async for said in conn.notifies(timeout=PULSE):
            told(int(said.payload))
        await conn.execute("SELECT 1")
