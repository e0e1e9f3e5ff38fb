"""What composite records show: their children in the kind's own words, how far they are, what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from qchive.api import records as api
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import NotFound
from qchive.kinds import Kind
from qchive.kinds.flow import Link, NotYet, Seen, View
from qchive.kinds.kind import Part, energy_of
from qchive.molecule import with_id
from qchive.server.context import Context
from qchive.server.projection import Wanted
from qchive.status import PriorityEnum
from qchive.wire import Json


async def view(ctx: Context, record_id: int) -> Any:
    """One view of a record."""
    one = next(v for v in ctx.the_kind.views if v.name == ctx.endpoint.role)

    async def work(conn: Connection) -> Any:
        from qchive.server.records import exists

        seen = await _seen(conn, [record_id], [one])
        if record_id not in seen:
            await exists(conn, record_id)
            raise NotFound(f"Record {record_id} is no {ctx.the_kind.name}", ids=[record_id])
        return one.make(seen[record_id])

    try:
        return await ctx.db.read(work)
    except NotYet as e:
        raise NotFound(str(e), ids=[record_id]) from e


async def add_views(conn: Connection, kind: Kind, found: Mapping[int, api.Record], want: Wanted) -> None:
    """The views that are wanted, on the records."""
    asked = [v for v in kind.views if v.included and v.name in want]
    if not asked:
        return
    for record_id, seen in (await _seen(conn, list(found), asked)).items():
        for one in asked:
            setattr(found[record_id], one.name, one.make(seen))


async def add_state(conn: Connection, kind: Kind, found: Mapping[int, api.Record], want: Wanted) -> None:
    """Service and progress, where they are wanted."""
    if "service" in want:
        services = await _services(conn, list(found)) if kind.is_service else {}
        for record_id, record in found.items():
            record.service = services.get(record_id)
    if kind.is_service and "progress" in want:
        progress = await _progress(conn, list(found))
        for record_id, record in found.items():
            record.progress = progress[record_id]  # type: ignore[attr-defined]


async def service(ctx: Context, record_id: int) -> api.RecordService | None:
    """The record's service, while it has one."""

    async def work(conn: Connection) -> api.RecordService | None:
        from qchive.server.records import exists

        found = (await _services(conn, [record_id])).get(record_id)
        if found is None:
            await exists(conn, record_id)
        return found

    return await ctx.db.read(work)


async def progress(ctx: Context, record_id: int) -> api.FlowProgress:
    """How far a record is."""

    async def work(conn: Connection) -> api.FlowProgress:
        from qchive.server.records import exists

        await exists(conn, record_id)
        return (await _progress(conn, [record_id]))[record_id]

    return await ctx.db.read(work)


async def _seen(conn: Connection, ids: Sequence[int], views: Iterable[View]) -> dict[int, Seen]:
    parts: dict[int, list[Part]] = {}
    for record_id, role, position, coefficient, molecule_id in await statements.tuples(conn, "flows/parts", ids=ids):
        parts.setdefault(record_id, []).append(Part(role, molecule_id, position, coefficient))
    links: dict[int, list[Link]] = {}
    for parent, properties, fields, info, *facts in await statements.tuples(conn, "flows/children", ids=list(ids)):
        child, kind, status, role, key, position, batch, molecule_id = facts
        energy = energy_of(_decoded(properties), _decoded(fields))
        links.setdefault(parent, []).append(
            Link(child, kind, status, role, key, position, batch, info or {}, energy, molecule_id)
        )
    documents: dict[int, Json] = {}

    def document(molecule_id: int) -> Json:
        return documents[molecule_id]

    seen = {i: Seen(of, links.get(i, []), document) for i, of in parts.items()}
    wanted = {m for one in seen.values() for v in views for m in v.molecules(one)}
    if wanted:
        for molecule_id, text in await statements.tuples(conn, "molecules/get", ids=list(wanted)):
            documents[molecule_id] = Json(with_id(text, molecule_id))
    return seen


def _decoded(text: bytes | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text)


async def _services(conn: Connection, ids: Sequence[int]) -> dict[int, api.RecordService]:
    found = {}
    for record_id, flow_id, tag, priority, find_existing, batch, told in await statements.tuples(
        conn, "flows/services", ids=list(ids)
    ):
        state = {"batch": batch, **(_decoded(told) or {})}
        found[record_id] = api.RecordService(
            id=flow_id,
            record_id=record_id,
            tag=tag,
            priority=PriorityEnum(priority),
            find_existing=find_existing,
            service_state=state,
            dependencies=[],
        )
    for record_id, child, info in await statements.tuples(conn, "flows/dependencies", ids=list(found)):
        # What begins with an underscore is for views only: clients of the protocol know the other facts.
        extras = {name: value for name, value in (info or {}).items() if not name.startswith("_")}
        found[record_id].dependencies.append(api.Dependency(record_id=child, extras=extras))
    return found


async def _progress(conn: Connection, ids: Sequence[int]) -> dict[int, api.FlowProgress]:
    children: dict[int, dict[str, int]] = {}
    for parent, status, n in await statements.tuples(conn, "flows/children_counts", ids=list(ids)):
        children.setdefault(parent, {})[status] = n
    found = {}
    for i, batch, text in await statements.tuples(conn, "flows/progress", ids=list(ids)):
        told = _decoded(text) or {}
        facts = {name: told.get(name) for name in ("stage", "done", "total", "minimum")}
        found[i] = api.FlowProgress(**facts, batch=batch, children=children.get(i, {}))
    return found
