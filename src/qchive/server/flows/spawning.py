"""The children that a flow asks for: found or made, and linked, whatever their number by a handful of statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from qchive.db import molecules, specifications, statements
from qchive.db.pool import Connection
from qchive.kinds.kind import Part
from qchive.server.flows import waking
from qchive.server.flows.header import Header
from qchive.server.flows.replay import Wish
from qchive.wire import stored_json

LIVING = ("waiting", "running", "complete", "error")
"""Statuses of records that a flow may use; whoever stopped the others meant that they are not computed."""


class Found(msgspec.Struct, frozen=True):
    """What is known of a batch before any record is locked."""

    placed: Sequence[Sequence[Part]]
    """The molecules of each wish, all with their ids."""
    identities: Sequence[bytes]
    known: dict[bytes, int]
    """The computations that there are already."""


async def find(conn: Connection, header: Header, wishes: Sequence[Wish], own: dict[bytes, int]) -> Found:
    """Find the children of a batch that exist. `own` are computations that the record has children for from an earlier
    plan."""
    placed = await _place(conn, wishes)
    identities = [
        wish.kind.identity(wish.specification.hash, parts, {}) for wish, parts in zip(wishes, placed, strict=True)
    ]
    shared = {i for i, wish in zip(identities, wishes, strict=True) if not wish.kind.internal}
    known = {identity: own[identity] for identity in shared if identity in own}
    if header.find_existing:
        unknown = shared - known.keys()
        if unknown:
            # Most are new: held before they are looked for, they need not be looked for twice.
            keys = [int.from_bytes(i[:8], "big", signed=True) for i in unknown]
            statements.later(conn, "records/lock_identities", keys=keys)
            known |= await _find(conn, list(unknown))
    return Found(placed, identities, known)


async def spawn(conn: Connection, header: Header, batch: int, wishes: Sequence[Wish], found: Found) -> None:
    """Make the children of a batch that do not exist, and link all."""
    placed, identities, known = found.placed, found.identities, dict(found.known)
    # Within a batch one computation is one record, whatever `find_existing` says: it is asked for once.
    new = {identity: n for n, identity in reversed(list(enumerate(identities))) if identity not in known}
    at = sorted(new.values())
    made = await _make(conn, header, [wishes[n] for n in at], [placed[n] for n in at], [identities[n] for n in at])
    known |= dict(zip((identities[n] for n in at), made, strict=True))
    _link(conn, header.id, batch, wishes, [known[identity] for identity in identities])


async def _place(conn: Connection, wishes: Sequence[Wish]) -> list[list[Part]]:
    new = [part[1] for wish in wishes for part in wish.parts if not isinstance(part, Part)]
    fresh = iter((await molecules.ensure(conn, new)).ids)
    return [
        [p if isinstance(p, Part) else msgspec.structs.replace(p[0], molecule=next(fresh)) for p in wish.parts]
        for wish in wishes
    ]


async def _find(conn: Connection, identities: list[bytes]) -> dict[bytes, int]:
    found = await statements.tuples(conn, "flows/find", identities=identities, statuses=list(LIVING))
    return dict(found)


async def _make(
    conn: Connection,
    header: Header,
    wishes: Sequence[Wish],
    placed: Sequence[Sequence[Part]],
    identities: Sequence[bytes],
) -> list[int]:
    if not wishes:
        return []
    spec_ids = await specifications.ensure(conn, [wish.specification for wish in wishes])
    requirements: dict[tuple[str, ...], int | None] = {(): None}
    programs = [wish.kind.programs(wish.request.specification) for wish in wishes]
    for needed in programs:
        if needed not in requirements:
            requirements[needed] = await specifications.require(conn, needed, {})
    flat = [(n, part) for n, group in enumerate(placed, 1) for part in group]
    ids: list[int] = await statements.column(
        conn,
        "flows/spawn",
        identities=list(identities),
        kinds=[wish.kind.name for wish in wishes],
        spec_ids=[spec_ids[wish.specification.hash] for wish in wishes],
        requirement_ids=[requirements[needed] for needed in programs],
        tag=header.tag,
        priority=header.priority,
        sort_time=header.sort_time,
        owner=header.owner,
        part_of=[n for n, _ in flat],
        roles=[p.role for _, p in flat],
        positions=[p.position for _, p in flat],
        coefficients=[p.coefficient for _, p in flat],
        molecule_ids=[p.molecule for _, p in flat],
    )
    services = [i for i, wish in zip(ids, wishes, strict=True) if wish.kind.is_service]
    if services:
        waking.begin(conn, services, find_existing=header.find_existing)
    return ids


def _link(conn: Connection, record_id: int, batch: int, wishes: Sequence[Wish], children: list[int]) -> None:
    requests = [wish.request for wish in wishes]
    statements.later(
        conn,
        "flows/link",
        id=record_id,
        batch=batch,
        roles=[r.role for r in requests],
        keys=[r.key for r in requests],
        positions=[r.position for r in requests],
        infos=[_json(r.info) for r in requests],
        requests=[wish.content for wish in wishes],
        child_ids=children,
    )


def _json(info: Any) -> str | None:
    return stored_json(info).decode() if info else None
