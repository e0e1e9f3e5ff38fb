"""Notes that reach the database a little later, many with one statement, so that nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from qchive.db.pool import Connection, Database
from qchive.errors import Unavailable

log = logging.getLogger("qchive.server")

T = TypeVar("T")

PERIOD = 1.0
"""Seconds between two times of writing."""
BATCH = 1000
"""Notes of one statement."""
MOST = 50_000
"""Notes that wait for a database which is away; beyond that the oldest are given up."""
FAREWELL = 10.0
"""Seconds that a server which ends waits for the last ones to be written."""


class Journal(Generic[T]):
    """Notes of one sort; any thread may add some."""

    def __init__(self, what: str, db: Database, write: Callable[[Connection, Sequence[T]], Awaitable[Any]]) -> None:
        self._what = what
        self._db = db
        self._write = write
        self._waiting: deque[T] = deque(maxlen=MOST)
        self._over = asyncio.Event()
        self._one = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None
        self.lost = 0
        """Notes that were given up."""

    def add(self, note: T) -> None:
        """Have this written soon."""
        if len(self._waiting) == MOST:
            self.lost += 1
        self._waiting.append(note)

    def begin(self) -> None:
        """From now on, write."""
        self._keeping = asyncio.create_task(self._keep())

    async def end(self) -> None:
        """Write what is left, and stop."""
        self._over.set()
        if self._keeping is not None:
            await asyncio.wait({self._keeping}, timeout=FAREWELL)
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if self._waiting:
            log.error("%s: %d notes could not be written", self._what, len(self._waiting))

    async def _keep(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD):
                    await self._over.wait()
            await self.catch_up()

    async def catch_up(self) -> None:
        """Write what waits now; if the database is away, that goes on waiting."""
        try:
            async with self._one:
                await self._empty(len(self._waiting))
        except Unavailable as trouble:
            log.warning("%s: %s", self._what, trouble)
        except Exception:
            log.exception("%s: notes could not be written", self._what)

    async def _empty(self, left: int) -> None:
        """Notes leave the queue when they are in the database; those that it refuses would be refused again."""
        while left:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, left))]
            left -= len(batch)

            async def work(conn: Connection, batch: Sequence[T] = batch) -> None:
                await self._write(conn, batch)

            try:
                await self._db.run(work)
            except (Unavailable, asyncio.CancelledError):
                self._waiting.extendleft(reversed(batch))
                raise
