"""Hearing at once what is told on a channel, on a connection that comes back after PostgreSQL was away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, LiteralString

import psycopg

log = logging.getLogger("qchive.upkeep")

PULSE = 30.0
"""Seconds between looks whether the connection still stands."""
RETRY = 0.5
"""Seconds between tries to connect."""


async def listen(conninfo: str, channel: LiteralString, told: Callable[[str | None], None]) -> None:
    """Call `told` with all that is said on the channel, and with None when something may have been missed.
    Never returns."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
                await conn.execute(f"LISTEN {channel}".encode())
                told(None)
                await _hear(conn, told)
        except psycopg.OperationalError as trouble:
            log.info("channel %s is not heard just now: %s", channel, trouble)
        await asyncio.sleep(RETRY)


async def _hear(conn: psycopg.AsyncConnection[Any], told: Callable[[str | None], None]) -> None:
    while True:
        async for said in conn.notifies(timeout=PULSE):
            told(said.payload)
        await conn.execute("SELECT 1")
