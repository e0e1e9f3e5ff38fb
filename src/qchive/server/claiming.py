"""Handing out tasks: the same few statements, however many records wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qchive.api.tasks import Claim, RecordTask
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import ManagerRefused
from qchive.server import matching, payload
from qchive.server.context import Context
from qchive.server.marks import Candidate


async def claim(ctx: Context, body: Claim) -> list[RecordTask]:
    """Take waiting tasks, best first; none is handed to two managers."""
    name = body.name_data.fullname
    limit = min(body.limit, ctx.settings.limits["manager_tasks_claim"])

    async def work(conn: Connection) -> list[RecordTask]:
        contact = statements.later(conn, "managers/contact", name=name, whose=ctx.caller.owner)
        required = await statements.tuples(conn, "requirements/offered", programs=list(body.offered_programs))
        known = contact.tuples()
        if not known:
            raise ManagerRefused(f"Manager does not exist! {name} must activate first.")
        worker_id, tags, programs = known[0]
        offer = _offer(ctx, body, tags, programs)
        if limit <= 0:
            return []
        requirements = tuple(i for i, needed, versions in required if _met(needed, versions, offer.programs))
        if not requirements:
            return []
        queue = _Queue(tuple(offer.tags), requirements, ctx.settings.strict_compute_tags)
        ids = await _take(conn, ctx, worker_id, queue, limit)
        if not ids:
            return []
        tasks = await payload.tasks(conn, ctx.kinds, ids)
        return [tasks[i] for i in ids]

    tasks = await ctx.db.run(work)
    ctx.tally.claims += 1
    ctx.tally.claimed += len(tasks)
    return tasks


def _offer(ctx: Context, body: Claim, tags: list[str], programs: dict[str, Any]) -> matching.Offer:
    """What the manager offers now, as far as it announced it.

    Raises:
        ManagerRefused: nothing of it was announced.
    """
    name, scope, strict = body.name_data.fullname, ctx.caller.scope, ctx.settings.strict_compute_tags
    now = {p: versions for p, versions in body.offered_programs.items() if p in programs}
    wanted = [tag for tag in body.offered_tags if tag in tags]
    if not now:
        raise ManagerRefused(f"Manager {name} did not send any valid programs to claim")
    if not wanted:
        raise ManagerRefused(f"Manager {name} did not send any valid queue tags to claim")
    if scope is not None:
        wanted = scope.of_offered(wanted, strict=strict)
    if not wanted:
        raise ManagerRefused(f"The API token of manager {name} allows none of the compute tags it offers: {scope}")
    return matching.Offer(now, wanted)


def _met(programs: Sequence[str], versions: Mapping[str, str], offered: Mapping[str, Sequence[str]]) -> bool:
    return offered.keys() >= set(programs) and not matching.unmet(versions, offered)


async def _take(conn: Connection, ctx: Context, worker_id: int, queue: _Queue, limit: int) -> list[int]:
    mark = ctx.marks.get(queue)
    taken: list[int] = []
    reach = limit
    while True:
        found = await _candidates(conn, queue, reach, mark)
        if mark is None:
            ctx.marks.set(queue, found)
        ids = [i for i in dict.fromkeys(one.id for one in found) if i not in taken]
        if ids:
            taken += await statements.column(
                conn, "tasks/claim", ids=ids, limit=limit - len(taken), worker_id=worker_id
            )
        if len(taken) >= limit:
            return taken
        if mark is not None:
            mark = None  # too little behind it: look from the very beginning
        elif len(found) < reach:
            return taken  # there is nothing beyond
        else:
            reach *= 4  # others were taking the same ones: look further


class _Queue(NamedTuple):
    """What a manager may take from."""

    tags: tuple[str, ...]
    requirements: tuple[int, ...]
    strict: bool


async def _candidates(conn: Connection, queue: _Queue, reach: int, mark: Candidate | None) -> list[Candidate]:
    return await statements.rows(
        conn,
        "tasks/candidates",
        Candidate,
        tags=list(queue.tags),
        requirements=list(queue.requirements),
        strict=queue.strict,
        limit=reach,
        mark_tag=mark and mark.tag,
        mark_requirement=mark and mark.requirement_id,
        mark_priority=mark and mark.priority,
        mark_time=mark and mark.sort_time,
    )
