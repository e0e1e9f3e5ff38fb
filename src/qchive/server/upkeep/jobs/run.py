"""What a job's function is given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.server.settings import Settings


class Stopped(asyncio.CancelledError):
    """The function is to end now: its job was cancelled or removed, has another runner, or this process ends."""


class Run:
    """One run of a job. Its function may be stopped at any time, and start again from the beginning elsewhere: it does
    its work in transactions of its own, and finds out from the database what is still to be done."""

    def __init__(
        self,
        db: Database,
        settings: Settings,
        *,
        job_id: int,
        kwargs: Mapping[str, Any],
        username: str | None,
        runner: str,
    ) -> None:
        self.db = db
        self.settings = settings
        self.job_id = job_id
        self.kwargs = kwargs
        self.username = username
        self.runner = runner
        self.percent = 0
        self.description: str | None = None
        self.stopped = False
        self.told = asyncio.Event()
        """Set when something happened to the job's row, so that its runner looks."""

    async def progress(self, percent: int, description: str | None = None) -> None:
        """Say how far it is; people see it with the next heartbeat. A check point.

        Raises:
            Stopped: the function is to end now.
        """
        self.percent = min(max(percent, 0), 100)
        self.description = description and description.replace("\0", "")  # which PostgreSQL refuses
        await self.check()

    async def check(self) -> None:
        """A point at which the function may be stopped.

        Raises:
            Stopped: the function is to end now.
        """
        await asyncio.sleep(0)  # what was told meanwhile comes through
        if self.stopped:
            raise Stopped

    async def hold(self, conn: Connection) -> None:
        """Keep the job this runner's until the transaction ends, so that nobody does the same work at the same time.

        Raises:
            Stopped: it is not any more.
        """
        if not await statements.column(conn, "jobs/hold", job_id=self.job_id, runner=self.runner):
            self.stopped = True
            raise Stopped
