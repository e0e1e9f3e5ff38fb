"""Running internal jobs: two lanes, one for maintenance and one for what people asked for, each one job at a time."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from psycopg.errors import UniqueViolation

from qchive import wire
from qchive.api.jobs import InternalJobStatusEnum
from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import QCHiveError, Unavailable
from qchive.server import error_log
from qchive.server.faults import Fault, fault
from qchive.server.jobs import CHANNEL, tell
from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.functions import Function
from qchive.server.upkeep.jobs.run import Run
from qchive.server.upkeep.listening import listen
from qchive.server.upkeep.together import together

log = logging.getLogger("qchive.upkeep")

T = TypeVar("T")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Times, all in seconds."""

    heartbeat: float = 5.0
    """Between signs of life of a running job."""
    dead: float = 60.0
    """Without a sign of life, after which another runner takes a job over."""
    idle: float = 300.0
    """Longest sleep between looks for jobs."""
    grace: float = 2.0
    """That a function has to come to a check point; then its transaction is rolled back."""
    farewell: float = 3.0
    """That a process which ends tries to put its jobs back."""
    backoff: float = 60.0
    """Added to the delay of a periodic job after a failure, doubled after each further one."""
    backoff_max: float = 3600.0


class Picked(msgspec.Struct, frozen=True):
    """A job to be run; `cancelled`: one whose runner died before it could stop it."""

    id: int
    function: str
    kwargs: bytes
    username: str | None
    cancelled: bool


class Runner:
    """Picks jobs and runs them until it is cancelled; then those that run are put back."""

    def __init__(self, db: Database, settings: Settings, functions: Mapping[str, Function], pace: Pace) -> None:
        self.uuid = str(uuid4())
        self._db = db
        self._settings = settings
        self._functions = functions
        self._pace = pace
        # Signs of life do not wait for the connections that functions use.
        self._own = Database(db.conninfo, size=2, patience=db.patience)
        self._wakes: list[asyncio.Event] = []
        self._runs: set[Run] = set()

    async def run(self) -> None:
        """Never returns."""
        try:
            await self._own.open()
            await together(
                listen(self._own.conninfo, CHANNEL, self._told),
                self._lane(maintenance=True),
                self._lane(maintenance=False),
            )
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.farewell):
                    await self._put_back(None)  # what was just picked when the end came
            await self._own.close()

    def _told(self, said: str | None) -> None:
        job_id = None if said is None else int(said)
        for wake in self._wakes:
            wake.set()
        for run in self._runs:
            if job_id in (None, run.job_id):
                run.told.set()

    # --- finding jobs -------------------------------------------------------------------------------------------------

    async def _lane(self, *, maintenance: bool) -> None:
        wake = asyncio.Event()
        self._wakes.append(wake)
        while True:
            wake.clear()
            try:
                picked = await self._pick(maintenance)
                if picked is None:
                    await _wait(wake, await self._next_due(maintenance))
                    continue
            except Unavailable as trouble:
                log.warning("jobs: %s", trouble)
                continue
            await self._do(picked)

    async def _pick(self, maintenance: bool) -> Picked | None:
        async def work(conn: Connection) -> list[Picked]:
            return await statements.rows(
                conn,
                "jobs/pick",
                Picked,
                maintenance=maintenance,
                functions=list(self._functions),
                dead=self._pace.dead,
                hostname=socket.gethostname(),
                runner=self.uuid,
            )

        while True:
            with suppress(UniqueViolation):  # another runner was quicker with the same serial group
                found = await self._own.run(work)
                return found[0] if found else None

    async def _next_due(self, maintenance: bool) -> float:
        """Seconds to sleep. What is due already has just been taken by somebody else."""

        async def work(conn: Connection) -> list[float | None]:
            functions = list(self._functions)
            return await statements.column(
                conn, "jobs/next_due", maintenance=maintenance, functions=functions, dead=self._pace.dead
            )

        (seconds,) = await self._own.read(work)
        return self._pace.idle if seconds is None else min(max(seconds, 0.02), self._pace.idle)

    # --- running one --------------------------------------------------------------------------------------------------

    async def _do(self, picked: Picked) -> None:
        if picked.cancelled:
            await self._end(picked.id, InternalJobStatusEnum.cancelled)
            return
        run = Run(
            self._db,
            self._settings,
            job_id=picked.id,
            kwargs=msgspec.json.decode(picked.kwargs),
            username=picked.username,
            runner=self.uuid,
        )
        function = asyncio.create_task(self._functions[picked.function](run))
        beating = asyncio.create_task(self._beat(run, function))
        self._runs.add(run)
        try:
            await asyncio.wait({function})
            await self._settle(run, function)
        except asyncio.CancelledError:
            await self._stop(run, function)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.farewell):
                    await self._settle(run, function)
            raise
        finally:
            self._runs.discard(run)
            beating.cancel()
            await asyncio.wait({beating})
        if not beating.cancelled():
            beating.result()

    async def _beat(self, run: Run, function: asyncio.Task[Any]) -> None:
        """Signs of life, until the job is this runner's no more."""

        async def work(conn: Connection) -> int:
            return await statements.execute(
                conn,
                "jobs/heartbeat",
                job_id=run.job_id,
                runner=self.uuid,
                progress=run.percent,
                description=run.description,
            )

        while True:
            await _wait(run.told, self._pace.heartbeat)
            run.told.clear()
            with suppress(Unavailable):
                if not await self._own.run(work):
                    await self._stop(run, function)
                    return

    async def _stop(self, run: Run, function: asyncio.Task[Any]) -> None:
        """Let the function end at a check point, or where it is."""
        run.stopped = True
        await asyncio.wait({function}, timeout=self._pace.grace)
        function.cancel()
        await asyncio.wait({function})

    # --- ending -------------------------------------------------------------------------------------------------------

    async def _settle(self, run: Run, function: asyncio.Task[Any]) -> None:
        """Write down what became of a function that has ended."""
        try:
            result = wire.stored_json(function.result())
        except (Exception, asyncio.CancelledError) as error:
            if run.stopped or isinstance(error, Unavailable):
                if not await self._put_back(run.job_id):
                    await self._end(run.job_id, InternalJobStatusEnum.cancelled)
                return
            faults: list[Fault] = []
            text = wire.stored_json(_said(error, run.job_id, faults))
            await self._persist(lambda conn: error_log.write(conn, faults))
            await self._end(run.job_id, InternalJobStatusEnum.error, text)
        else:
            await self._end(run.job_id, InternalJobStatusEnum.complete, result)

    async def _put_back(self, job_id: int | None) -> bool:
        """Have a job wait again, or all of this runner; whether any was still running here."""

        async def work(conn: Connection) -> list[int]:
            ids = await statements.column(conn, "jobs/put_back", job_id=job_id, runner=self.uuid)
            for one in ids:
                await tell(conn, one)
            return ids

        return bool(await self._persist(work))

    async def _end(self, job_id: int, status: InternalJobStatusEnum, result: bytes | None = None) -> None:
        async def work(conn: Connection) -> None:
            mine = await statements.execute(
                conn, "jobs/end", job_id=job_id, runner=self.uuid, status=status.value, result=result
            )
            if mine:
                await statements.execute(
                    conn, "jobs/repeat", job_id=job_id, backoff=self._pace.backoff, backoff_max=self._pace.backoff_max
                )
                await tell(conn, job_id)

        await self._persist(work)

    async def _persist(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What a job came to is not given up while PostgreSQL is away."""
        while True:
            try:
                return await self._own.run(work)
            except Unavailable as trouble:
                log.warning("jobs: %s", trouble)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _said(error: BaseException, job_id: int, faults: list[Fault]) -> str:
    """An error as the result of a job: short, with the id that the logs have it under."""
    shown = fault(error, f"internal job {job_id}", faults.append)
    what = error.msg if isinstance(error, QCHiveError) else type(error).__name__
    return f"{what}. {shown.msg}"
