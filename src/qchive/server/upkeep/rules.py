"""Doing what follow-on rules say as soon as records complete: every upkeep process does, whether it leads or not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import Unavailable
from qchive.kinds import KINDS, Kind
from qchive.server.faults import fault
from qchive.server.rules.channel import CHANNEL
from qchive.server.rules.making import Cannot, make
from qchive.server.rules.matching import look_back, match
from qchive.server.settings import Settings
from qchive.server.upkeep.listening import listen
from qchive.server.upkeep.together import together

log = logging.getLogger("qchive.upkeep")

IDLE = 60.0
"""Longest sleep between looks, in seconds."""
SOON = 0.5
"""Seconds between looks while somebody is still at work who has not seen a new rule."""


class Follower:
    """Does what rules say until it is cancelled."""

    def __init__(self, db: Database, settings: Settings, kinds: Mapping[str, Kind] = KINDS) -> None:
        self._db = db
        self._settings = settings
        self._kinds = kinds
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Never returns."""
        await together(listen(self._db.conninfo, CHANNEL, lambda _: self._wake.set()), self._keep())

    async def _keep(self) -> None:
        pause = IDLE
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.round()
                pause = SOON if await self._looking_back() else IDLE
            except Unavailable as trouble:
                log.warning("follow-on rules: %s", trouble)
                await asyncio.sleep(1.0)
                self._wake.set()

    async def round(self) -> int:
        """Do all that is to be done; how many records were made, found or given up."""
        made = 0
        left: set[int] = set()
        while True:
            looked = await match(self._db) + await look_back(self._db)
            for rule_id in await self._due(left):
                done = await self._make(rule_id)
                made += done
                if not done:
                    left.add(rule_id)
                    continue
                looked += done
            if not looked:
                return made

    async def _due(self, but: set[int]) -> list[int]:
        async def work(conn: Connection) -> list[int]:
            return await statements.column(conn, "rules/due", but=list(but))

        return await self._db.read(work)

    async def _looking_back(self) -> bool:
        async def work(conn: Connection) -> list[bool]:
            return await statements.column(conn, "rules/looking_back")

        return (await self._db.read(work))[0]

    async def _make(self, rule_id: int) -> int:
        """One batch of a rule; a rule that cannot says why in its state, and does not stop the others."""
        try:
            return await make(self._db, self._kinds, self._settings, rule_id)
        except Unavailable:
            raise
        except Cannot as problem:
            text = str(problem)
        except Exception as problem:
            error_id = fault(problem, f"follow-on rule {rule_id}").fields["error_id"]
            text = f"Submitting failed: {type(problem).__name__}; internal error {error_id}"
        await self._db.run(lambda conn: statements.execute(conn, "rules/trouble", id=rule_id, problem=text))
        return 0
