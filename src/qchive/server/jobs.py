"""Internal jobs: adding them, looking at them, cancelling and removing them. Runners are in `upkeep/jobs`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from qchive import wire
from qchive.api.jobs import InternalJobStatusEnum, Job, JobQuery
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.errors import InvalidRequest, NotFound
from qchive.server.context import Context

CHANNEL = "job"
"""Where runners listen."""


async def add(
    conn: Connection,
    *,
    name: str,
    function: str,
    kwargs: Mapping[str, Any],
    username: str | None = None,
    unique: bool = False,
    serial_group: str | None = None,
    repeat_delay: int | None = None,
    scheduled: datetime | None = None,
) -> int:
    """Add a job, which starts as soon as this transaction is committed, or when it is `scheduled`; returns its id.

    `function` is a key of `upkeep.jobs.functions.FUNCTIONS`. With `unique`, a job of that name that has not ended is
    not added again: its own id is returned. A job with a `repeat_delay`, in seconds, is maintenance: it comes again,
    and runs beside what people asked for.
    """
    (job_id,) = await statements.column(
        conn,
        "jobs/add",
        name=name,
        is_unique=unique,
        function=function,
        kwargs=wire.stored_json(kwargs),
        username=username,
        serial_group=serial_group,
        repeat_delay=repeat_delay,
        scheduled=scheduled,
    )
    await tell(conn, job_id)
    return int(job_id)


async def tell(conn: Connection, job_id: int) -> None:
    """Tell all runners, on commit, that something happened to a job."""
    await statements.execute(conn, "jobs/notify", channel=CHANNEL, job=str(job_id))


async def get(ctx: Context, job_id: int) -> Job:
    """One job."""
    found = await _jobs(ctx, [job_id])
    if job_id not in found:
        raise NotFound(f"Internal job with id={job_id} not found", ids=[job_id])
    return found[job_id]


async def query(ctx: Context, body: JobQuery) -> list[Any]:
    """The jobs that fit, newest first."""
    limit = ctx.page(body.limit, "get_internal_jobs")

    async def work(conn: Connection) -> list[int]:
        return await statements.composed(conn, *where.jobs(body, limit))

    ids = await ctx.db.read(work)
    found = await _jobs(ctx, ids)
    return [_project(found[i], body) for i in ids if i in found]


async def _jobs(ctx: Context, ids: list[int]) -> dict[int, Job]:
    async def work(conn: Connection) -> list[dict[str, Any]]:
        return await statements.rows(conn, "jobs/get", dict, ids=ids)

    return {row["id"]: _as_sent(row) for row in await ctx.db.read(work)}


def _as_sent(row: dict[str, Any]) -> Job:
    given = {k: None if row[k] is None else wire.Json(row[k]) for k in ("kwargs", "result")}
    return Job(**{**row, **given})


def _project(job: Job, asked: JobQuery) -> Any:
    names = set(asked.include or ("*",))
    whole = msgspec.structs.asdict(job)
    keep = set(whole) if names & {"*", "**"} else names
    keep = keep - set(asked.exclude or ()) | {"id"}
    return {k: v for k, v in whole.items() if k in keep}


async def set_status(ctx: Context, body: InternalJobStatusEnum, job_id: int) -> None:
    """Cancel a job: the only status that can be asked for. What is over, or unknown, stays as it is."""
    if body is not InternalJobStatusEnum.cancelled:
        raise InvalidRequest(f"Invalid status for updating internal job: {body.value}")

    async def work(conn: Connection) -> None:
        await statements.execute(conn, "jobs/cancel", job_id=job_id)
        await tell(conn, job_id)

    await ctx.db.run(work)


async def delete(ctx: Context, job_id: int) -> None:
    """Remove a job, if it is there."""

    async def work(conn: Connection) -> None:
        await statements.execute(conn, "jobs/delete", job_id=job_id)
        await tell(conn, job_id)

    await ctx.db.run(work)
