"""Since when this archive has been answering. Silence of compute managers is counted from there, so that a long
downtime of ours kills nobody who was waiting for us."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import Unavailable

PERIOD = 5.0
"""Seconds between notes that the API answers."""


class Presence(msgspec.Struct):
    """Since when, and until when at least, some server process has been answering."""

    since: datetime
    seen: datetime


async def note(conn: Connection) -> None:
    """Note that the API answers now; after a gap, it answers anew."""
    await statements.execute(conn, "settings/present", gap=3 * PERIOD)


async def presence(conn: Connection) -> Presence | None:
    """What is known, or None before the first server process."""
    found = await statements.column(conn, "settings/get", key="presence")
    return msgspec.convert(found[0], Presence) if found else None


async def keep(db: Database) -> None:
    """Note it for as long as this server process lives."""
    while True:
        try:
            await db.run(note)
        except Unavailable:
            continue
        await asyncio.sleep(PERIOD)
