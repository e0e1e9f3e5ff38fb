"""Rescue what compute managers held that have fallen silent."""

from __future__ import annotations

import logging

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.server import losing
from qchive.server.presence import GAP
from qchive.server.settings import Settings

log = logging.getLogger("qchive.upkeep")


def period(settings: Settings) -> float:
    """Seconds between looks: often enough that a lost record does not wait much longer than it must."""
    return min(max(settings.heartbeat_frequency / 4, 0.2), 15.0)


async def rescue(db: Database, settings: Settings) -> int:
    """End managers that have been silent for too long; how many records were freed."""

    async def work(conn: Connection) -> int:
        silent = await statements.tuples(conn, "managers/silent", silence=settings.silence, gap=GAP)
        if not silent:
            return 0
        freed = await losing.lose(conn, [worker_id for worker_id, _ in silent], settings.max_losses)
        for _, name in silent:
            log.warning("manager %r has fallen silent", name)
        return freed

    return await db.run(work)
