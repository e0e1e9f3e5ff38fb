"""Running flows without server and database: children are computed by a function of the test. After each batch the flow
is begun anew, as the server does, and must ask for the very same again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from qchive import canonical
from qchive.kinds import Kind
from qchive.kinds.flow import Batch, Done, Ended, Given, GivenMolecule, Request, Steps
from qchive.kinds.kind import Molecule, Part

Compute = Callable[[Request, Sequence[Molecule]], dict[str, Any]]
"""From a request and its molecules to what a child of that kind ends with: `energy`, and whatever of `molecule` (an
optimized one), `properties` and `fields`."""


class Driven(msgspec.Struct):
    """What became of a flow."""

    done: Done
    batches: list[Batch]
    ended: list[list[Ended]]
    molecules: dict[int, Molecule]


class Molecules:
    """Molecules by id; equal ones have one id."""

    def __init__(self) -> None:
        self.by_id: dict[int, Molecule] = {}
        self._ids: dict[bytes, int] = {}

    def place(self, molecule: int | Molecule) -> int:
        """Its id."""
        if isinstance(molecule, int):
            return molecule
        plain = {k: v for k, v in molecule.items() if k != "id"}
        key = canonical.canonical(plain)
        if key not in self._ids:
            self._ids[key] = len(self._ids) + 1
            self.by_id[self._ids[key]] = {**plain, "id": self._ids[key]}
        return self._ids[key]


def drive(kind: Kind, specification: Mapping[str, Any], element: Any, compute: Compute, *, limit: int = 500) -> Driven:
    """Run a record of this kind to its end."""
    assert kind.flow is not None
    spec = msgspec.convert(specification, kind.specification)
    known = Molecules()
    placed = [msgspec.structs.replace(p, molecule=known.place(p.molecule)) for p in kind.inputs.parts(element)]
    parts = kind.settle(spec, placed, known.by_id)
    batches: list[Batch] = []
    ended: list[list[Ended]] = []
    while len(batches) < limit:
        at = max((n for n, b in enumerate(batches) if b.checkpoint is not None), default=0)
        steps = kind.flow.run(_given(spec, parts, known, batches[at].checkpoint if batches else None))
        last = _replay(steps, batches[at:], ended[at:], known)
        if isinstance(last, Done):
            return Driven(last, batches, ended, known.by_id)
        batches.append(_stored(last))
        ended.append(
            [_ended(request, known, compute, 1000 * len(batches) + n) for n, request in enumerate(last.requests)]
        )
    raise AssertionError(f"the flow has not ended after {limit} batches")


def _given(spec: Any, parts: Sequence[Part], known: Molecules, checkpoint: Any) -> Given:
    by_role: dict[str, list[GivenMolecule]] = {}
    for part in sorted(parts, key=lambda part: part.position):
        assert isinstance(part.molecule, int)
        by_role.setdefault(part.role, []).append(
            GivenMolecule(part.molecule, known.by_id[part.molecule], part.coefficient)
        )
    return Given(specification=spec, molecules=by_role, checkpoint=checkpoint)


def _stored(batch: Batch) -> Batch:
    """As the database gives it back."""
    checkpoint = msgspec.json.decode(msgspec.json.encode(batch.checkpoint))
    return msgspec.structs.replace(batch, checkpoint=checkpoint)


def _replay(steps: Steps, batches: Sequence[Batch], ended: Sequence[Sequence[Ended]], known: Molecules) -> Batch | Done:
    try:
        batch = next(steps)
        for stored, answers in zip(batches, ended, strict=True):
            assert _shape(batch, known) == _shape(stored, known), "begun anew, the flow asks for something else"
            batch = steps.send(answers)
    except StopIteration as end:
        done: Done = end.value
        return done
    places = [(r.role, r.key, r.position) for b in [*batches, batch] for r in b.requests]
    assert len(places) == len(set(places)), "two children have one place"
    return batch


def _shape(batch: Batch, known: Molecules) -> list[Any]:
    return [
        (
            r.role,
            r.key,
            r.position,
            r.kind,
            msgspec.json.encode(r.specification),
            [known.place(p.molecule) for p in r.parts],
        )
        for r in batch.requests
    ]


def _ended(request: Request, known: Molecules, compute: Compute, record_id: int) -> Ended:
    ids = [known.place(part.molecule) for part in request.parts]
    found = compute(request, [known.by_id[i] for i in ids])
    final = known.place(found["molecule"]) if "molecule" in found else (ids[0] if ids else None)
    return Ended(
        record_id=record_id,
        energy=found.get("energy"),
        molecule_id=final,
        molecule=known.by_id[final] if final is not None and "molecule" in request.needs else None,
        properties=found.get("properties") if "properties" in request.needs else None,
        fields=found.get("fields") if "fields" in request.needs else None,
    )
