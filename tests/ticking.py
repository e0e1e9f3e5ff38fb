"""Taking composite records on when a test says so, as upkeep would as soon as it can."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from qchive.db.pool import Database
from qchive.kinds import KINDS, Kind
from qchive.server.upkeep.flows import AT_ONCE, Advancer


def tick(conninfo: str, kinds: Mapping[str, Kind] = KINDS, *, at_once: int = AT_ONCE) -> int:
    """Take on all that is ready until nothing is; how many steps that took."""

    async def once() -> int:
        db = Database(conninfo, size=3)
        await db.open()
        try:
            return await Advancer(db, kinds, at_once).round()
        finally:
            await db.close()

    return asyncio.run(once())
