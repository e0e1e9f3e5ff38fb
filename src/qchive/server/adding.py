"""Adding records: one request, a handful of statements, whatever the number of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from qchive.api.metadata import InsertMetadata
from qchive.api.records import Add
from qchive.db import molecules, specifications, statements
from qchive.db.pool import Connection
from qchive.db.specifications import Prepared
from qchive.errors import InvalidSpecification
from qchive.kinds.kind import InputRefused, Kind, Part
from qchive.molecule import Stored
from qchive.server import access
from qchive.server.context import Context
from qchive.server.flows import waking
from qchive.server.molecules import read_molecules


class NothingAdded(Exception):
    """An input that cannot be; rolls everything of the call back."""


class Order(msgspec.Struct, frozen=True):
    """What new records have in common."""

    specification: Prepared
    demands: Mapping[str, str]
    tag: str
    priority: int
    find_existing: bool
    owner: str | None


async def add(ctx: Context, body: Any) -> tuple[InsertMetadata, list[int]]:
    """Add records; a computation that is there already keeps its record."""
    kind, elements = ctx.the_kind, getattr(body, ctx.the_kind.inputs.field)
    ctx.at_most(len(elements), "add_records", f"add {{n}} {kind.name} records")
    access.check_tag(ctx.caller, body.queue_tag or "*")
    if not elements:
        return InsertMetadata(), []
    parts = [tuple(kind.inputs.parts(element)) for element in elements]
    new = [p.molecule for group in parts for p in group if not isinstance(p.molecule, int)]
    given = await read_molecules([dict(m) for m in new])
    order = Order(
        specifications.prepare(kind, body.specification),
        _demands(kind, body),
        tag=body.queue_tag or "*",
        priority=int(1 if body.queue_priority is None else body.queue_priority),
        find_existing=body.find_existing,
        owner=ctx.caller.username,
    )

    async def work(conn: Connection) -> tuple[InsertMetadata, list[int]]:
        placed, documents = await _place(conn, parts, given)
        settled = await settle(conn, order, placed, documents)
        for n, group in enumerate(settled):
            if isinstance(group, InputRefused):
                raise NothingAdded(f"Input {n}: {group}. Nothing was added.")
        return await put(conn, order, [group for group in settled if not isinstance(group, InputRefused)])

    try:
        return await ctx.db.run(work)
    except NothingAdded as e:
        return InsertMetadata(error_description=str(e)), []


def _demands(kind: Kind, body: Add) -> dict[str, str]:
    """The program versions demanded, checked and in one form.

    Raises:
        InvalidSpecification: no PEP 440 specifier, or a program this record does not need.
    """
    needed = set(kind.programs(body.specification))  # type: ignore[attr-defined]
    demands = {}
    for name, text in (body.program_versions or {}).items():
        if name.lower() not in needed:
            raise InvalidSpecification(
                f"program_versions names {name!r}, but this record needs only {', '.join(sorted(needed))}"
            )
        try:
            if wanted := str(SpecifierSet(text)):
                demands[name.lower()] = wanted
        except InvalidSpecifier as e:
            raise InvalidSpecification(
                f"{text!r} for {name} is no version specifier: write for instance >=2.14,<3"
            ) from e
    return demands


async def _place(
    conn: Connection, parts: Sequence[tuple[Part, ...]], given: Sequence[Stored]
) -> tuple[list[tuple[Part, ...]], dict[int, bytes]]:
    """The same parts with the id of each molecule; the molecules that came along, by id."""
    ids = sorted({p.molecule for group in parts for p in group if isinstance(p.molecule, int)})
    missing = await molecules.missing(conn, ids)
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        raise NothingAdded(f"Molecules with these ids do not exist: {shown}. Nothing was added.")
    stored = (await molecules.ensure(conn, given)).ids
    fresh = iter(stored)
    placed = [
        tuple(p if isinstance(p.molecule, int) else msgspec.structs.replace(p, molecule=next(fresh)) for p in group)
        for group in parts
    ]
    return placed, {i: molecule.document for i, molecule in zip(stored, given, strict=True)}


async def settle(
    conn: Connection, order: Order, placed: Sequence[Sequence[Part]], documents: Mapping[int, bytes] | None = None
) -> Sequence[Sequence[Part] | InputRefused]:
    """What composite records are made of, checked, or why it cannot be; others stay as they are. `documents` are
    molecules by id that need not be read any more."""
    kind, documents = order.specification.kind, documents or {}
    if not kind.is_service:
        return placed
    ids = {p.molecule for group in placed for p in group if isinstance(p.molecule, int)} - documents.keys()
    others = await statements.tuples(conn, "molecules/get", ids=list(ids)) if ids else ()
    found = {i: msgspec.json.decode(document) for i, document in (*documents.items(), *others)}
    settled: list[Sequence[Part] | InputRefused] = []
    for group in placed:
        try:
            settled.append(kind.settle(order.specification.specification, group, found))
        except InputRefused as e:
            settled.append(e)
    return settled


async def put(conn: Connection, order: Order, placed: Sequence[Sequence[Part]]) -> tuple[InsertMetadata, list[int]]:
    """A record for each group of molecules, which have their ids: found, or new."""
    identities = [order.specification.kind.identity(order.specification.hash, group, order.demands) for group in placed]
    known: dict[bytes, int] = {}
    if order.find_existing:
        known = await _find(conn, list(set(identities)))
        unknown = {i for i in identities if i not in known}
        if unknown:
            keys = [int.from_bytes(i[:8], "big", signed=True) for i in unknown]
            await statements.column(conn, "records/lock_identities", keys=keys)
            known |= await _find(conn, list(unknown))
    inserted: list[int] = []
    seen = set(known)
    for position, identity in enumerate(identities):
        if not order.find_existing or identity not in seen:
            inserted.append(position)
            seen.add(identity)
    new = await _insert(conn, order, [placed[i] for i in inserted], [identities[i] for i in inserted])
    at = dict(zip(inserted, new, strict=True))
    if order.find_existing:
        known |= {identities[i]: record_id for i, record_id in at.items()}
    ids = [at.get(i) or known[identity] for i, identity in enumerate(identities)]
    existing = [i for i in range(len(identities)) if i not in at]
    return InsertMetadata(inserted_idx=inserted, existing_idx=existing), ids


async def _find(conn: Connection, identities: list[bytes]) -> dict[bytes, int]:
    return dict(await statements.tuples(conn, "records/find", identities=identities))


async def _insert(
    conn: Connection, order: Order, placed: Sequence[Sequence[Part]], identities: list[bytes]
) -> list[int]:
    if not identities:
        return []
    specification, kind = order.specification, order.specification.kind
    spec_id = (await specifications.ensure(conn, [specification]))[specification.hash]
    requirement = None
    if not kind.is_service:
        requirement = await specifications.require(conn, kind.programs(specification.specification), order.demands)
    flat = [(n, part) for n, group in enumerate(placed, 1) for part in group]
    ids = await statements.column(
        conn,
        "records/add",
        identities=identities,
        kind=kind.name,
        spec_id=spec_id,
        tag=order.tag,
        priority=order.priority,
        requirement_id=requirement,
        owner=order.owner,
        part_of=[n for n, _ in flat],
        roles=[p.role for _, p in flat],
        positions=[p.position for _, p in flat],
        coefficients=[p.coefficient for _, p in flat],
        molecule_ids=[p.molecule for _, p in flat],
    )
    if kind.is_service:
        waking.begin(conn, ids, find_existing=order.find_existing)
    return ids
