"""Looking at records: by id, by query, their tasks, comments and children, and why they wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from qchive.api import records as api
from qchive.api.endpoint import BulkGet, Projection
from qchive.api.tasks import RecordTask
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.errors import NotFound
from qchive.kinds import Kind
from qchive.molecule import with_id
from qchive.server import matching, outputs, payload
from qchive.server.context import Context
from qchive.server.flows import showing
from qchive.server.projection import Wanted, wanted
from qchive.status import RecordStatusEnum
from qchive.wire import Json

MISSING = "Could not find all requested records"
_EMPTY = Json(b"{}")


Place = tuple[Any, ...]
"""A record, a role, and the molecule that has it there."""


class Row(msgspec.Struct):
    """What every record shows."""

    id: int
    kind: str
    status: str
    manager_name: str | None
    created_on: datetime
    modified_on: datetime
    owner: str | None
    specification: bytes
    properties: bytes | None
    extras: bytes | None
    fields: bytes | None


async def get(ctx: Context, query: Projection, record_id: int) -> api.Record:
    """One record."""
    found = await _records(ctx, [record_id], query)
    if record_id not in found:
        raise NotFound(MISSING, ids=[record_id])
    return found[record_id]


async def bulk_get(ctx: Context, body: BulkGet) -> list[api.Record | None]:
    """Records by id, in the order asked for."""
    ctx.at_most(len(body.ids), "get_records", "get {n} records")
    found = await _records(ctx, body.ids, body)
    missing = [i for i in body.ids if i not in found]
    if missing and not body.missing_ok:
        raise NotFound(MISSING, ids=missing)
    return [found.get(i) for i in body.ids]


async def _records(ctx: Context, ids: Sequence[int], asked: Projection) -> dict[int, api.Record]:
    kinds = ctx.kinds.values() if ctx.kind is None else [ctx.kind]
    wants = {kind.name: wanted(kind, asked.include, asked.exclude, typed=ctx.kind is not None) for kind in kinds}
    wide = any(wants[kind.name].result(kind) for kind in kinds)

    async def work(conn: Connection) -> dict[int, api.Record]:
        distinct = list(set(ids))
        got = statements.later(conn, "records/get", ids=distinct, wide=wide)
        places: list[Place] = []
        if any(_wants_molecules(kind, wants[kind.name]) for kind in kinds):
            # Behind the records: one that is shown as complete shows all of its molecules.
            places = await statements.tuples(conn, "records/molecules", ids=distinct)
        await conn.flush()
        rows = got.rows(Row)
        found: dict[int, api.Record] = {}
        for kind in {row.kind for row in rows} & wants.keys():
            of_kind = [row for row in rows if row.kind == kind]
            found |= await _of_kind(conn, ctx.kinds[kind], of_kind, places, wants[kind])
        return found

    return await ctx.db.read(work)


async def _of_kind(
    conn: Connection, kind: Kind, rows: Sequence[Row], places: Sequence[Place], want: Wanted
) -> dict[int, api.Record]:
    found = {row.id: _plain(kind, row, want) for row in rows}
    await _add_molecules(conn, kind, found, [place for place in places if place[0] in found], want)
    for add_part in (_add_children, _add_history, _add_comments, _add_task, showing.add_views, showing.add_state):
        await add_part(conn, kind, found, want)
    await outputs.add_blobs(conn, kind, found, want)
    return found


def _plain(kind: Kind, row: Row, want: Wanted) -> api.Record:
    columns: dict[str, Any] = {
        "is_service": kind.is_service,
        "status": RecordStatusEnum(row.status),
        "manager_name": row.manager_name,
        "created_on": row.created_on,
        "modified_on": row.modified_on,
        "owner_user": row.owner,
        "specification": Json(row.specification),
        "properties": Json(row.properties) if row.properties is not None else None,
        "extras": Json(row.extras) if row.extras is not None else _EMPTY,
        **kind.fields,
        **(_fields(row.fields) if row.fields is not None and want.any(set(kind.fields)) else {}),
        **{f"{role}_id": None for role in kind.molecules},
    }
    if kind.internal:
        columns |= _fields(columns.pop("specification").text)
    return api.record_type(kind)(
        id=row.id, record_type=kind.name, **{name: value for name, value in columns.items() if name in want}
    )


def _fields(text: bytes) -> dict[str, Json]:
    """What is stored of a kind's own fields, each as it is sent."""
    stored = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return {name: Json(bytes(value)) for name, value in stored.items()}


def _wants_molecules(kind: Kind, want: Wanted) -> bool:
    return want.any((*kind.molecules, *(f"{role}_id" for role in kind.molecules)))


async def _add_molecules(
    conn: Connection, kind: Kind, found: Mapping[int, api.Record], placed: Sequence[Place], want: Wanted
) -> None:
    for record_id, role, molecule_id in placed:
        if f"{role}_id" in want:
            setattr(found[record_id], f"{role}_id", molecule_id)
    asked = [role for role in kind.molecules if role in want]
    if not asked:
        return
    ids = list({molecule_id for _, role, molecule_id in placed if role in asked})
    documents = dict(await statements.tuples(conn, "molecules/get", ids=ids))
    for record in found.values():
        for role in asked:
            setattr(record, role, None)
    for record_id, role, molecule_id in placed:
        if role in asked:
            setattr(found[record_id], role, Json(with_id(documents[molecule_id], molecule_id)))


async def _add_children(conn: Connection, kind: Kind, found: Mapping[int, api.Record], want: Wanted) -> None:
    for child in kind.children:
        if child.name in want:
            listed = await _children(conn, list(found), child.name)
            for i, record in found.items():
                setattr(record, child.key, listed.get(i, []))


async def _add_history(conn: Connection, kind: Kind, found: Mapping[int, api.Record], want: Wanted) -> None:
    if want.history:
        history = await outputs.histories(conn, list(found), with_outputs="outputs" in want)
        for i, record in found.items():
            record.compute_history = history.get(i, [])


async def _add_comments(conn: Connection, kind: Kind, found: Mapping[int, api.Record], want: Wanted) -> None:
    if "comments" in want:
        by_record: dict[int, list[api.RecordComment]] = {}
        for comment in await statements.rows(conn, "comments/list", api.RecordComment, ids=list(found)):
            by_record.setdefault(comment.record_id, []).append(comment)
        for i, record in found.items():
            record.comments = by_record.get(i, [])


async def _add_task(conn: Connection, kind: Kind, found: Mapping[int, api.Record], want: Wanted) -> None:
    if "task" in want:
        tasks = await payload.tasks(conn, {kind.name: kind}, list(found))
        for i, record in found.items():
            record.task = tasks.get(i)


async def _children(conn: Connection, ids: Sequence[int], role: str) -> dict[int, list[int]]:
    listed: dict[int, list[int]] = {}
    for parent, child in await statements.tuples(conn, "records/children", ids=list(ids), role=role):
        listed.setdefault(parent, []).append(child)
    return listed


async def query(ctx: Context, body: Any) -> list[int]:
    """Ids of the records that fit, newest first."""
    limit = ctx.page(body.limit, "get_records")

    async def work(conn: Connection) -> list[int]:
        return await statements.composed(conn, *where.records(body, ctx.kind, limit))

    return await ctx.db.read(work)


async def exists(conn: Connection, record_id: int) -> None:
    """Refuse an id that is no record.

    Raises:
        NotFound: it is none.
    """
    if not await statements.tuples(conn, "records/kinds", ids=[record_id]):
        raise NotFound(f"Cannot find record {record_id}", ids=[record_id])


async def task(ctx: Context, record_id: int) -> RecordTask | None:
    """The record's task, while it has one."""

    async def work(conn: Connection) -> RecordTask | None:
        found = (await payload.tasks(conn, ctx.kinds, [record_id])).get(record_id)
        if found is None:
            await exists(conn, record_id)
        return found

    return await ctx.db.read(work)


async def comments(ctx: Context, record_id: int) -> list[api.RecordComment]:
    """Comments, oldest first."""

    async def work(conn: Connection) -> list[api.RecordComment]:
        found = statements.later(conn, "comments/list", ids=[record_id])
        await exists(conn, record_id)
        return found.rows(api.RecordComment)

    return await ctx.db.read(work)


async def children(ctx: Context, record_id: int) -> list[int]:
    """Ids of the children in one role, in order."""
    role = ctx.endpoint.role

    async def work(conn: Connection) -> list[int]:
        found = (await _children(conn, [record_id], role)).get(record_id, [])
        if not found:
            await exists(conn, record_id)
        return found

    return await ctx.db.read(work)


async def children_status(ctx: Context, record_id: int) -> dict[str, int]:
    """Direct children by status."""

    async def work(conn: Connection) -> dict[str, int]:
        return dict(await statements.tuples(conn, "records/children_status", id=record_id))

    return await ctx.db.read(work)


async def children_errors(ctx: Context, record_id: int) -> list[int]:
    """Direct children that failed."""

    async def work(conn: Connection) -> list[int]:
        return await statements.column(conn, "records/children_errors", id=record_id)

    return await ctx.db.read(work)


async def waiting_reason(ctx: Context, record_id: int) -> api.WaitingReason:
    """Why a record waits, and what each active manager says to it."""

    async def work(conn: Connection) -> api.WaitingReason:
        found = await statements.tuples(conn, "records/waiting", id=record_id)
        if not found:
            return api.WaitingReason(reason="Record does not exist")
        kind, status, tag, programs, versions = found[0]
        if kind in ctx.kinds and ctx.kinds[kind].is_service:
            return api.WaitingReason(reason="Record is a service")
        if status != RecordStatusEnum.waiting.value:
            return api.WaitingReason(reason="Record is not waiting")
        if programs is None:
            return api.WaitingReason(reason="Missing task? This is a developer error")
        offers = {
            name: matching.Offer(offered, tags)
            for name, tags, offered in await statements.tuples(conn, "managers/active")
        }
        need = matching.Need(frozenset(programs), versions, tag)
        return _why_waiting(need, offers, strict=ctx.settings.strict_compute_tags)

    return await ctx.db.read(work)


def _why_waiting(need: matching.Need, offers: Mapping[str, matching.Offer], *, strict: bool) -> api.WaitingReason:
    if not offers:
        return api.WaitingReason(reason="No active managers", hint="Start one: `qchive worker`")
    hint = matching.advice(need, list(offers.values()), strict=strict)
    return api.WaitingReason(
        reason="No manager matches programs & tags" if hint else "Waiting for a free manager",
        details={
            name: matching.objection(need, offer, strict=strict) or "Manager is busy" for name, offer in offers.items()
        },
        hint=hint,
    )


async def count(ctx: Context, body: api.Selection) -> list[api.StatusCount]:
    """How many records fit, by kind and status."""
    rows = await ctx.db.read(lambda conn: statements.composed_tuples(conn, *where.counted(body)))
    return [api.StatusCount(record_type=k, status=RecordStatusEnum(s), count=n) for k, s, n, *_ in rows]


async def counts(ctx: Context) -> api.Counts:
    """How many records there are, by kind and status, and what those that wait need."""

    async def work(conn: Connection) -> api.Counts:
        return api.Counts(
            records=[
                api.StatusCount(record_type=kind, status=RecordStatusEnum(status), count=count)
                for kind, status, count in await statements.tuples(conn, "records/counts")
            ],
            waiting=await statements.rows(conn, "records/waiting_counts", api.WaitingCount),
        )

    return await ctx.db.read(work)
