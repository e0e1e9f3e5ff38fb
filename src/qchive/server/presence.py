"""Since when this archive has been answering. Silence of compute managers is counted from there, so that a long
downtime of ours kills nobody who was waiting for us."""

from __future__ import annotations

import asyncio

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import Unavailable

PERIOD = 5.0
"""Seconds between notes that the API answers."""
GAP = 3 * PERIOD
"""After so many seconds without a note nobody has been answering, and the next note starts anew."""


async def note(conn: Connection) -> None:
    """Note that the API answers now."""
    await statements.execute(conn, "settings/present", gap=GAP)


async def keep(db: Database) -> None:
    """Note it for as long as this server process lives."""
    while True:
        try:
            await db.run(note)
        except Unavailable:
            continue
        await asyncio.sleep(PERIOD)
