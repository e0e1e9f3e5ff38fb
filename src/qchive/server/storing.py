"""Storing what computations returned: one statement per table for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from qchive.db import molecules, specifications, statements
from qchive.db.pool import Connection
from qchive.db.specifications import Prepared
from qchive.diagnosis import Diagnosis, diagnose
from qchive.fingerprint import shortened
from qchive.kinds import Kind
from qchive.kinds.kind import Child, Outcome, Part
from qchive.kinds.result import ComputeError, FailedOperation, failure_outputs
from qchive.molecule import Path, Stored
from qchive.server.rules.channel import CHANNEL
from qchive.wire import stored_json


class Place(msgspec.Struct, frozen=True):
    """A molecule that a computation made, and its place on the record."""

    part: Part
    molecule: Stored


class Texts(msgspec.Struct, frozen=True):
    """What is stored of an outcome as JSON."""

    properties: bytes | None
    extras: bytes
    fields: bytes
    provenance: bytes


class Step(msgspec.Struct, frozen=True):
    """A child record that is born complete."""

    child: Child
    texts: Texts
    specification: Prepared
    places: tuple[Place, ...]

    @property
    def outcome(self) -> Outcome:
        """What the child's own computation wrote."""
        return self.child.outcome


class Success(msgspec.Struct, frozen=True):
    """A result that is ready to be stored: everything in it has been read, makes sense and is encoded."""

    outcome: Outcome
    texts: Texts
    places: tuple[Place, ...]
    steps: tuple[Step, ...]


class Failure(msgspec.Struct, frozen=True):
    """A failure that is ready to be stored."""

    error_type: str
    error_message: str
    diagnosis: Diagnosis
    outputs: Mapping[str, tuple[str, bytes]]


class Finished(msgspec.Struct, frozen=True):
    """A record's attempt that ended with something returned."""

    record_id: int
    attempt_no: int
    owner: str | None
    returned: Success | Failure


class _Written(msgspec.Struct, frozen=True):
    """What becomes one attempt: a returned result or failure, or (with a `step`) a child that comes with a result."""

    finished: Finished
    step: Step | None = None

    @property
    def done(self) -> Success | Step | None:
        """What was computed; None for a failure."""
        returned = self.finished.returned
        return self.step or (None if isinstance(returned, Failure) else returned)

    @property
    def failed(self) -> Failure | None:
        """What went wrong; None for a success."""
        returned = self.finished.returned
        return returned if self.step is None and isinstance(returned, Failure) else None

    @property
    def places(self) -> tuple[Place, ...]:
        """The molecules that were made."""
        return self.done.places if self.done else ()


def success(kinds: Mapping[str, Kind], outcome: Outcome) -> Success:
    """Make a result ready to be stored.

    Raises:
        InvalidMolecule, InvalidSpecification, InvalidBody: something in it makes no sense.
    """
    prepared: dict[bytes, Prepared] = {}
    path = Path()
    steps = tuple(_step(kinds, child, prepared, path) for child in outcome.children)
    return Success(outcome, _texts(outcome), tuple(_place(part, path) for part in outcome.molecules), steps)


def failure(failed: FailedOperation) -> Failure:
    """Make a failure ready to be stored."""
    error = failed.error or ComputeError()
    kind, message = (text.replace("\0", "") for text in (error.error_type, error.error_message))
    return Failure(kind[:100], shortened(message, 1000), diagnose(kind, message), failure_outputs(failed))


def _step(kinds: Mapping[str, Kind], child: Child, known: dict[bytes, Prepared], path: Path) -> Step:
    # Most steps of a trajectory are computed alike: what one of them is prepared as is `known` to the next.
    key = msgspec.json.encode((child.kind, child.specification))
    if key not in known:
        known[key] = specifications.prepare(kinds[child.kind], child.specification)
    return Step(child, _texts(child.outcome), known[key], tuple(_place(part, path) for part in child.parts))


def _texts(outcome: Outcome) -> Texts:
    return Texts(
        None if outcome.properties is None else stored_json(outcome.properties),
        stored_json(outcome.extras),
        stored_json(outcome.fields),
        stored_json(outcome.provenance),
    )


def _place(part: Part, path: Path) -> Place:
    assert not isinstance(part.molecule, int)
    return Place(part, path.stored({**part.molecule, "validated": part.molecule.get("validated", True)}))


async def store(conn: Connection, worker_id: int | None, finished: Sequence[Finished]) -> None:
    """Store results and failures, and move their records to complete or error."""
    if not finished:
        return
    written = [_Written(one) for one in finished]
    written += [
        _Written(one, step) for one in finished if isinstance(one.returned, Success) for step in one.returned.steps
    ]
    molecule_ids = await _molecule_ids(conn, written)
    spec_ids = await specifications.ensure(conn, [w.step.specification for w in written if w.step])
    statements.later(
        conn,
        "records/finish",
        worker_id=worker_id,
        channel=CHANNEL,
        **_attempts(written),
        **_children(written, molecule_ids, spec_ids),
        **_parts(written, molecule_ids),
        **_blobs(written),
    )


async def _molecule_ids(conn: Connection, written: Sequence[_Written]) -> dict[str, int]:
    found = [place.molecule for w in written for place in w.places]
    ensured = await molecules.ensure(conn, found, mostly_new=True)  # a computation has just made them
    return {m.hash: i for m, i in zip(found, ensured.ids, strict=True)}


def _attempts(written: Sequence[_Written]) -> dict[str, list[Any]]:
    """How attempts ended, and the wide part of what was computed."""
    failures = [w.failed for w in written]
    texts = [w.done.texts if w.done else None for w in written]
    return {
        "record_ids": [None if w.step else w.finished.record_id for w in written],
        "attempt_nos": [0 if w.step else w.finished.attempt_no for w in written],
        "outcomes": ["complete" if f is None else "error" for f in failures],
        "error_types": [f and f.error_type for f in failures],
        "error_messages": [f and f.error_message for f in failures],
        "error_classes": [f and f.diagnosis.error_class.value for f in failures],
        "fingerprints": [f and f.diagnosis.fingerprint for f in failures],
        "provenances": [t and t.provenance for t in texts],
        "properties": [t and t.properties for t in texts],
        "extras": [t and t.extras for t in texts],
        "fields": [t and t.fields for t in texts],
    }


def _children(
    written: Sequence[_Written], molecule_ids: Mapping[str, int], spec_ids: Mapping[bytes, int]
) -> dict[str, list[Any]]:
    """What makes a record of a step. Children belong to whom their parents belong."""
    steps = [w.step for w in written]
    return {
        "kinds": [s and s.child.kind for s in steps],
        "spec_ids": [s and spec_ids[s.specification.hash] for s in steps],
        "identities": [s and _identity(s, molecule_ids) for s in steps],
        "owners": [w.finished.owner for w in written],
        "parent_ids": [w.finished.record_id for w in written],
        "roles": [s and s.child.role for s in steps],
        "positions": [s and s.child.position for s in steps],
    }


def _identity(step: Step, molecule_ids: Mapping[str, int]) -> bytes:
    parts = [msgspec.structs.replace(p.part, molecule=molecule_ids[p.molecule.hash]) for p in step.places]
    return step.specification.kind.identity(step.specification.hash, parts, {})


def _parts(written: Sequence[_Written], molecule_ids: Mapping[str, int]) -> dict[str, list[Any]]:
    """The molecules that were made, by the number of what they belong to, from 1."""
    placed = [(n, place) for n, w in enumerate(written, start=1) for place in w.places]
    return {
        "part_of": [n for n, _ in placed],
        "part_roles": [p.part.role for _, p in placed],
        "part_positions": [p.part.position for _, p in placed],
        "part_coefficients": [p.part.coefficient for _, p in placed],
        "part_molecule_ids": [molecule_ids[p.molecule.hash] for _, p in placed],
    }


def _blobs(written: Sequence[_Written]) -> dict[str, list[Any]]:
    """Outputs, which belong to the attempt, native files and wavefunctions, which belong to the record."""
    rows: list[tuple[int, bool, str, str, str, bytes]] = []
    for n, w in enumerate(written, start=1):
        outcome = w.done.outcome if w.done else None
        outputs = w.failed.outputs if w.failed else outcome.outputs if outcome else {}
        rows += [(n, True, kind, "", compression, data) for kind, (compression, data) in outputs.items()]
        if outcome is not None:
            files = outcome.native_files.items()
            rows += [(n, False, "native_file", name, compression, data) for name, (compression, data) in files]
            if outcome.wavefunction is not None:
                rows.append((n, False, "wavefunction", "", "zstd", outcome.wavefunction))
    names = ("blob_of", "blob_is_output", "blob_types", "blob_names", "blob_compressions", "blob_datas")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}
