"""Running one upkeep process."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from qchive.db.pool import Database
from qchive.errors import Unavailable
from qchive.server.settings import Settings
from qchive.server.upkeep.leader import lead
from qchive.server.upkeep.rescue import period, rescue

log = logging.getLogger("qchive.upkeep")

Loop = tuple[str, float, Callable[[Database, Settings], Awaitable[int]]]


def loops(settings: Settings) -> tuple[Loop, ...]:
    """What is kept up: name, seconds between rounds, one round."""
    return (("rescue", period(settings), rescue),)


def keep_up(conninfo: str, settings: Settings) -> None:
    """Keep an archive going until SIGINT or SIGTERM."""
    asyncio.run(_keep_up(conninfo, settings))


async def _keep_up(conninfo: str, settings: Settings) -> None:
    db = Database(conninfo, size=2, patience=settings.database_patience)
    await db.open()

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            for name, seconds, one_round in loops(settings):
                group.create_task(_repeat(name, seconds, one_round, db, settings))

    leading = asyncio.create_task(lead(conninfo, work))
    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, leading.cancel)
    try:
        with suppress(asyncio.CancelledError):
            await leading
    finally:
        await db.close()


async def _repeat(
    name: str,
    seconds: float,
    one_round: Callable[[Database, Settings], Awaitable[int]],
    db: Database,
    settings: Settings,
) -> None:
    while True:
        try:
            await one_round(db, settings)
        except Unavailable as trouble:
            log.warning("%s: %s", name, trouble)
        await asyncio.sleep(seconds)
