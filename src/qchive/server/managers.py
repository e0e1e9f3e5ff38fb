"""Compute managers: announcing themselves, staying alive, leaving, being looked at."""

from __future__ import annotations

from typing import Any

import msgspec

from qchive.api.endpoint import Projection
from qchive.api.managers import (
    ALWAYS,
    Activation,
    ActiveQuery,
    Heartbeat,
    Manager,
    ManagerQuery,
    ManagersGet,
    ManagerStatusEnum,
    ManagerUpdate,
    lower_programs,
    lower_tags,
)
from qchive.api.tasks import attempt_of, task_id
from qchive.canonical import canonical
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.errors import ManagerRefused, NotFound
from qchive.server import losing, matching
from qchive.server.context import Context

MISSING = "Could not find all requested records"


async def activate(ctx: Context, body: Activation) -> int:
    """A manager announces itself; saying the same again is harmless."""
    said = {
        "name": body.name_data.fullname,
        "version": body.manager_version,
        "tags": body.offered_tags,
        "programs": canonical(body.offered_programs).decode(),
    }

    async def work(conn: Connection) -> list[int]:
        new = await statements.column(
            conn,
            "managers/activate",
            **said,
            cluster=body.name_data.cluster,
            hostname=body.name_data.hostname,
            username=ctx.caller.username or body.username,
        )
        return new or await statements.column(conn, "managers/same", **said, whose=ctx.caller.owner)

    found = await ctx.db.run(work)
    if not found:
        raise ManagerRefused(f"A manager with this name already exists: {said['name']}. Start it with a new uuid.")
    return found[0]


async def update(ctx: Context, body: ManagerUpdate, name: str) -> Heartbeat | None:
    """A heartbeat, or a farewell: then what the manager still holds waits again."""
    active = body.status is ManagerStatusEnum.active

    async def work(conn: Connection) -> Heartbeat | None:
        found = await statements.column(
            conn,
            "managers/heartbeat",
            name=name,
            whose=ctx.caller.owner,
            active=active,
            active_tasks=body.active_tasks,
            active_cores=body.active_cores,
            active_memory=body.active_memory,
            total_cpu_hours=body.total_cpu_hours,
        )
        if not found:
            raise ManagerRefused(f"Cannot update resource stats for manager {name} - does not exist")
        if not active and body.lost:
            await losing.lose(conn, found, ctx.settings.max_losses)
        elif not active:
            await losing.hand_back(conn, found)
        if body.running is None:
            return None
        return Heartbeat(stop=await _compare(conn, ctx, found[0], body.running))

    return await ctx.db.run(work)


async def _compare(conn: Connection, ctx: Context, worker_id: int, running: list[int]) -> list[int]:
    """Compare what a manager runs with what it should run: free what it does not know of, and name what it should
    stop."""
    attempts = [attempt_of(task) for task in running if 0 <= task < 2**63 - 1]
    known = {"record_ids": [record for record, _ in attempts], "attempt_nos": [no for _, no in attempts]}
    grace = 2.0 * ctx.settings.heartbeat_frequency
    forgotten = await statements.column(conn, "tasks/forgotten", worker_id=worker_id, grace=grace, **known)
    await losing.free(conn, worker_id, forgotten)
    rows = await statements.tuples(conn, "tasks/unwanted", worker_id=worker_id, **known)
    return [task_id(record, no) for record, no in rows]


async def get(ctx: Context, query: Projection, name: str) -> Any:
    """One compute manager."""
    found = await _managers(ctx, [name])
    if name not in found:
        raise NotFound(MISSING, names=[name])
    return _project(found[name], query)


async def bulk_get(ctx: Context, body: ManagersGet) -> list[Any]:
    """Managers by name, in the order asked for."""
    ctx.at_most(len(body.names), "get_managers", "get {n} manager records")
    found = await _managers(ctx, body.names)
    missing = [n for n in body.names if n not in found]
    if missing and not body.missing_ok:
        raise NotFound(MISSING, names=missing)
    return [_project(found[n], body) if n in found else None for n in body.names]


async def query(ctx: Context, body: ManagerQuery) -> list[Any]:
    """The managers that fit, newest first."""
    limit = ctx.page(body.limit, "get_managers")

    async def work(conn: Connection) -> list[str]:
        return await statements.composed(conn, *where.managers(body, limit))

    names = await ctx.db.read(work)
    found = await _managers(ctx, names)
    asked = Projection(include=body.include, exclude=body.exclude)
    return [_project(found[n], asked) for n in names if n in found]


async def _managers(ctx: Context, names: list[str]) -> dict[str, Manager]:
    async def work(conn: Connection) -> list[Manager]:
        return await statements.rows(conn, "managers/get", Manager, names=names)

    return {m.name: m for m in await ctx.db.read(work)}


def _project(manager: Manager, asked: Projection) -> Any:
    names = set(asked.include or ("*",))
    if names & {"*", "**"} and not asked.exclude:
        return manager
    whole = msgspec.structs.asdict(manager)
    keep = set(whole) if names & {"*", "**"} else names
    keep = (keep - set(asked.exclude or ())) | set(ALWAYS)
    return {k: v for k, v in whole.items() if k in keep}


async def query_active(ctx: Context, body: ActiveQuery) -> list[str]:
    """Names of active managers that would run such a task: all the programs, and any of the tags."""
    asked_tags = body.tag if body.compute_tag is None else body.compute_tag
    tags = lower_tags(["*"] if asked_tags is None else asked_tags)
    programs = frozenset(lower_programs(body.programs))
    strict = ctx.settings.strict_compute_tags
    asked: list[str | None] = [None] if "*" in tags and not strict else list(tags)

    async def work(conn: Connection) -> list[tuple[Any, ...]]:
        return await statements.tuples(conn, "managers/active")

    return [
        name
        for name, offered_tags, offered in await ctx.db.read(work)
        if any(
            matching.objection(matching.Need(programs, {}, tag), matching.Offer(offered, offered_tags), strict=strict)
            is None
            for tag in asked
        )
    ]
