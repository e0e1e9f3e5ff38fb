"""Taking composite records on as soon as they are ready: every upkeep process does, whether it leads or not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import Unavailable
from qchive.kinds import KINDS, Kind
from qchive.server.faults import fault
from qchive.server.flows.advancing import advance
from qchive.server.flows.waking import CHANNEL
from qchive.server.settings import Settings
from qchive.server.upkeep.listening import listen
from qchive.server.upkeep.together import together

log = logging.getLogger("qchive.upkeep")

AT_ONCE = 2
"""Records that one process takes on at a time: planning is Python, and takes one core."""
IDLE = 10.0
"""Longest sleep between looks, in seconds: what a process was at when it was killed waits no longer for the others."""
AGAIN = 60.0
"""Seconds after which a record has its turn again that could not be taken on."""
PERIOD = 60.0
"""Seconds between looks for what should be ready, but is not marked."""
_MANY = 100


class Advancer:
    """Takes on what is ready until it is cancelled."""

    def __init__(self, db: Database, kinds: Mapping[str, Kind] = KINDS, at_once: int = AT_ONCE) -> None:
        self._db = db
        self._at_once = at_once
        self._kinds = kinds
        self._wake = asyncio.Event()
        self._failed: dict[int, float] = {}

    async def run(self) -> None:
        """Never returns."""
        await together(listen(self._db.conninfo, CHANNEL, lambda _: self._wake.set()), self._keep())

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.round()
            except Unavailable as trouble:
                log.warning("composite records: %s", trouble)
                await asyncio.sleep(1.0)
                self._wake.set()

    async def round(self) -> int:
        """Take on all that is ready until nothing is; how many steps that took."""
        steps = 0
        left = self.resting()
        while ids := await self._ready(left):
            queue = iter(ids)
            went = await asyncio.gather(*(self._some(queue, left) for _ in range(self._at_once)))
            steps += sum(went)
        return steps

    def failed(self, record_id: int) -> None:
        """A record could not be taken on: it rests."""
        self._failed[record_id] = time.monotonic()

    def resting(self) -> set[int]:
        """The records that are left alone for a while."""
        since = time.monotonic() - AGAIN
        self._failed = {record_id: when for record_id, when in self._failed.items() if when > since}
        return set(self._failed)

    async def _ready(self, but: set[int]) -> list[int]:
        async def work(conn: Connection) -> list[int]:
            return await statements.column(conn, "flows/ready", but=list(but), limit=_MANY)

        return await self._db.read(work)

    async def _some(self, queue: Iterator[int], left: set[int]) -> int:
        steps = 0
        for record_id in queue:
            try:
                if await advance(self._db, self._kinds, record_id):
                    steps += 1
                else:
                    left.add(record_id)
            except Unavailable:
                raise
            except Exception as problem:
                # What nobody foresaw costs this record its turn, not the others theirs.
                fault(problem, f"advancing record {record_id}")
                left.add(record_id)
                self.failed(record_id)
        return steps


async def overdue(db: Database, _: Settings) -> int:
    """Mark what is ready, whatever kept that from being noticed; how many."""
    return await db.run(lambda conn: statements.execute(conn, "flows/overdue"))
