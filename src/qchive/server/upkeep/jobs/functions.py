"""What jobs can do, and which of it comes again by itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.server import jobs, statistics
from qchive.server.running import RUN, Progress, run_batch
from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.run import Run

Function = Callable[[Run], Coroutine[Any, Any, Any]]
"""What it answers becomes the job's result, as JSON."""


async def delete_old_internal_jobs(run: Run) -> int:
    """Remove jobs that ended longer ago than they are kept; how many."""
    keep = run.settings.internal_job_keep
    if keep <= 0:
        return 0
    return await run.db.run(lambda conn: statements.execute(conn, "jobs/delete_old", keep=keep))


async def run_operation(run: Run) -> dict[str, int]:
    """Do the rest of a long operation, batch by batch; how many records changed by all of it."""

    async def batch(conn: Connection) -> Progress:
        await run.hold(conn)
        return await run_batch(conn, run.kwargs["operation_id"])

    while not (at := await run.db.run(batch)).done:
        await run.progress(at.percent, f"{at.changed} of {at.expected} records")
    return {"changed": at.changed}


async def delete_old_access_log(run: Run) -> int:
    """Remove what was noted of requests longer ago than it is kept; how many."""
    before = datetime.now(UTC) - timedelta(seconds=run.settings.access_log_keep)
    return await run.db.run(lambda conn: statements.execute(conn, "access_log/delete", before=before))


async def delete_old_error_log(run: Run) -> int:
    """Remove errors that are older than they are kept; how many."""
    before = datetime.now(UTC) - timedelta(seconds=run.settings.error_log_keep)
    return await run.db.run(lambda conn: statements.execute(conn, "error_log/delete", before=before))


async def fill_statistics(run: Run) -> int:
    """Write down what was computed in the last days; how many days."""
    return await run.db.run(statistics.fill)


FUNCTIONS: Mapping[str, Function] = {
    "internal_jobs.delete_old_internal_jobs": delete_old_internal_jobs,
    "access_log.delete_old_access_log": delete_old_access_log,
    "error_log.delete_old_error_log": delete_old_error_log,
    "statistics.fill_statistics": fill_statistics,
    RUN: run_operation,
}
"""Every function, by the name that jobs have it under."""


class Periodic(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is always to be there."""

    name: str
    function: str
    delay: int
    """Seconds from the end of one run to the next."""
    wanted: Callable[[Settings], bool]


PERIODIC = (
    Periodic(
        name="delete_old_internal_jobs",
        function="internal_jobs.delete_old_internal_jobs",
        delay=86400,
        wanted=lambda settings: settings.internal_job_keep > 0,
    ),
    Periodic(
        name="delete_old_access_log",
        function="access_log.delete_old_access_log",
        delay=86400,
        wanted=lambda settings: settings.access_log_keep > 0,
    ),
    Periodic(
        name="delete_old_error_log",
        function="error_log.delete_old_error_log",
        delay=86400,
        wanted=lambda settings: settings.error_log_keep > 0,
    ),
    Periodic(
        name="fill_statistics",
        function="statistics.fill_statistics",
        delay=86400,
        wanted=lambda settings: True,
    ),
)


async def add_periodic(db: Database, settings: Settings) -> int:
    """Add the periodic jobs that are not there, be it that somebody cancelled or removed one; how many are wanted."""
    wanted = [job for job in PERIODIC if job.wanted(settings)]

    async def work(conn: Connection) -> None:
        for job in wanted:
            await jobs.add(conn, name=job.name, function=job.function, kwargs={}, unique=True, repeat_delay=job.delay)

    if wanted:
        await db.run(work)
    return len(wanted)
