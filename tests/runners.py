"""Runners of internal jobs for tests: in a thread of this process, with functions of the test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from qchive.db.pool import Database
from qchive.server import jobs
from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.functions import Function
from qchive.server.upkeep.jobs.run import Run
from qchive.server.upkeep.jobs.runner import Pace, Runner
from tests.factories import until

BRISK = Pace(heartbeat=0.1, dead=60.0, grace=1.0, backoff=0.5, backoff_max=1.5)
"""Everything soon, but no living runner is taken for dead."""


def do(conninfo: str, work: Callable[[Database], Any]) -> Any:
    """What `work` comes to, with the database open."""

    async def done() -> Any:
        db = Database(conninfo, size=2)
        await db.open()
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(done())


def add_job(conninfo: str, function: str = "echo", name: str | None = None, **more: Any) -> int:
    """The id of a job."""
    given = {"name": name or function, "function": function, "kwargs": {}, **more}
    return do(conninfo, lambda db: db.run(lambda conn: jobs.add(conn, **given)))  # type: ignore[no-any-return]


class Gate:
    """A job function that comes to check points until it is let through; says how often it was entered and left."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered: list[int] = []
        self.left: list[int] = []
        self.most = 0
        """How many were inside at the same time."""

    async def __call__(self, run: Run) -> str:
        self.entered.append(run.job_id)
        self.most = max(self.most, len(self.entered) - len(self.left))
        try:
            while not self.open.is_set():
                await run.progress(42, "at the gate")
                await asyncio.sleep(0.005)
        finally:
            self.left.append(run.job_id)
        return "through"


class Hosted:
    """A runner in a thread."""

    def __init__(self, conninfo: str, functions: Mapping[str, Function], pace: Pace, settings: Settings) -> None:
        self._given = conninfo, functions, pace, settings
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._host)
        self.uuid = ""

    def _host(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        conninfo, functions, pace, settings = self._given
        db = Database(conninfo, size=4, patience=settings.database_patience)
        await db.open()
        runner = Runner(db, settings, functions, pace)
        self.uuid = runner.uuid
        self._task = asyncio.create_task(runner.run())
        self._ready.set()
        await asyncio.wait({self._task})
        await db.close()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        """End it in good order."""
        if self._thread.is_alive():
            assert self._task is not None
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(30)
            assert not self._thread.is_alive(), "the runner did not stop"
            assert self._task.cancelled(), self._task.exception()


@contextmanager
def running_jobs(
    conninfo: str, functions: Mapping[str, Any], pace: Pace = BRISK, settings: Settings | None = None
) -> Iterator[Hosted]:
    """A runner while the context lasts."""
    hosted = Hosted(conninfo, functions, pace, settings or Settings())
    hosted.start()
    try:
        yield hosted
    finally:
        hosted.stop()


def ended(api: Any, job_id: int) -> dict[str, Any]:
    """The job as it is shown when it has ended."""

    def over() -> bool:
        return api.get(f"internal_jobs/{job_id}")["ended_date"] is not None

    until(over)
    return api.get(f"internal_jobs/{job_id}")  # type: ignore[no-any-return]
