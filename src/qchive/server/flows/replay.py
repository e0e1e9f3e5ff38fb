"""What a flow asks for next: begun anew, and answered with what is stored. Planning itself runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from qchive.canonical import canonical, content_hash
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.db.specifications import Prepared, prepare
from qchive.kinds import Kind
from qchive.kinds.flow import Batch, Done, Ended, Given, GivenMolecule, Request, Steps
from qchive.kinds.kind import Part, energy_of
from qchive.molecule import Path, Stored, with_id
from qchive.server.flows.header import Header, Link


class Wish(msgspec.Struct, frozen=True):
    """A request that is ready to be stored."""

    request: Request
    kind: Kind
    specification: Prepared
    parts: tuple[Part | tuple[Part, Stored], ...]
    """By id, or with the molecule that has none yet."""
    content: bytes
    """What identifies the request, wherever it is asked for."""


class Plan(msgspec.Struct, frozen=True):
    """What comes next: a batch, or the end."""

    batch: int
    """Its number."""
    next: Batch | Done
    wishes: Sequence[Wish] = ()


class Diverged(Exception):
    """Begun anew, the flow asks for something else than is stored."""

    def __init__(self, batch: int) -> None:
        super().__init__(
            f"What plans this record has changed since it was started: batch {batch} is another one now. Reset the"
            " record to plan it anew; what was computed is used again where it fits"
        )
        self.batch = batch


async def replay(conn: Connection, kinds: Mapping[str, Kind], header: Header, links: Sequence[Link]) -> Plan:
    """What the flow asks for behind the batches that are stored, which are all complete.

    Raises:
        Diverged: it does not ask for these.
        Exception: whatever the flow raises.
    """
    kind = kinds[header.kind]
    assert kind.flow is not None
    steps = kind.flow.run(await _given(conn, kind, header))
    number = header.checkpoint_batch
    by_batch: dict[int, list[Link]] = {}
    for link in links:
        by_batch.setdefault(link.batch, []).append(link)
    try:
        following, wishes = await asyncio.to_thread(_step, kinds, steps, None)
        while isinstance(following, Batch) and (stored := by_batch.get(number)):
            children = _matched(wishes, stored)
            if children is None:
                raise Diverged(number)
            answers = await _ended(conn, following.requests, children)
            following, wishes = await asyncio.to_thread(_step, kinds, steps, answers)
            number += 1
        return Plan(number, following, wishes)
    finally:
        await asyncio.to_thread(steps.close)


async def _given(conn: Connection, kind: Kind, header: Header) -> Given:
    molecules: dict[str, list[GivenMolecule]] = {}
    for role, coefficient, molecule_id, document in await statements.tuples(conn, "flows/inputs", id=header.id):
        molecule = msgspec.json.decode(with_id(document, molecule_id))
        molecules.setdefault(role, []).append(GivenMolecule(molecule_id, molecule, coefficient))
    return Given(
        specification=msgspec.json.decode(header.specification, type=kind.specification),
        molecules=molecules,
        checkpoint=None if header.checkpoint is None else msgspec.json.decode(header.checkpoint),
    )


def _step(
    kinds: Mapping[str, Kind], steps: Steps, answers: Sequence[Ended] | None
) -> tuple[Batch | Done, Sequence[Wish]]:
    try:
        batch = next(steps) if answers is None else steps.send(answers)
        while not batch.requests:
            batch = steps.send(())
    except StopIteration as end:
        done: Done = end.value
        return done, ()
    return batch, _wishes(kinds, batch.requests)


def _wishes(kinds: Mapping[str, Kind], requests: Sequence[Request]) -> list[Wish]:
    known: dict[bytes, Prepared] = {}
    path = Path()
    return [_wish(kinds[request.kind], request, known, path) for request in requests]


def _wish(kind: Kind, request: Request, known: dict[bytes, Prepared], path: Path) -> Wish:
    key = msgspec.json.encode((request.kind, request.specification))
    if key not in known:
        known[key] = prepare(kind, request.specification)
    parts = tuple(
        part
        if isinstance(part.molecule, int)
        else (part, path.stored({**part.molecule, "validated": part.molecule.get("validated", True)}))
        for part in request.parts
    )
    places = [
        [p.role, p.position, p.coefficient, p.molecule]
        if isinstance(p, Part)
        else [p[0].role, p[0].position, p[0].coefficient, p[1].hash]
        for p in parts
    ]
    return Wish(request, kind, known[key], parts, content_hash(kind.name, known[key].hash, canonical(places)))


def _matched(wishes: Sequence[Wish], links: Sequence[Link]) -> list[int] | None:
    """The children in the order of the requests; None if they are not what is asked for."""
    by_place = {(link.role, link.key, link.position): link for link in links}
    children = []
    for wish in wishes:
        link = by_place.get((wish.request.role, wish.request.key, wish.request.position))
        if link is None or link.request != wish.content:
            return None
        children.append(link.child_id)
    return children if len(children) == len(links) else None


async def _ended(conn: Connection, requests: Sequence[Request], children: Sequence[int]) -> list[Ended]:
    whole = [i for request, i in zip(requests, children, strict=True) if "molecule" in request.needs]
    found = {
        i: (properties, fields, molecule_id, document)
        for i, properties, fields, molecule_id, document in await statements.tuples(
            conn, "flows/results", ids=list(set(children)), whole=whole
        )
    }
    return [_read(request, i, *found[i]) for request, i in zip(requests, children, strict=True)]


def _read(
    request: Request,
    record_id: int,
    properties: bytes | None,
    fields: bytes | None,
    molecule_id: int | None,
    document: bytes | None,
) -> Ended:
    computed: dict[str, Any] | None = msgspec.json.decode(properties) if properties is not None else None
    own: dict[str, Any] | None = msgspec.json.decode(fields) if fields is not None else None
    wanted = request.needs
    return Ended(
        record_id=record_id,
        energy=energy_of(computed, own),
        molecule_id=molecule_id,
        molecule=msgspec.json.decode(with_id(document, molecule_id))
        if document is not None and molecule_id is not None and "molecule" in wanted
        else None,
        properties=computed if "properties" in wanted else None,
        fields=own if "fields" in wanted else None,
    )
