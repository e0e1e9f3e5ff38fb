"""Storing what computations returned: one statement per table for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from qchive.db import molecules, specifications, statements
from qchive.db.pool import Connection
from qchive.db.specifications import Prepared
from qchive.kinds import Kind
from qchive.kinds.kind import Child, Outcome, Part
from qchive.kinds.result import ComputeError, FailedOperation, failure_outputs
from qchive.molecule import Stored, stored
from qchive.wire import stored_json


class Place(msgspec.Struct, frozen=True):
    """A molecule that a computation made, and its place on the record."""

    part: Part
    molecule: Stored


class Texts(msgspec.Struct, frozen=True):
    """What is stored of an outcome as JSON."""

    properties: bytes
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
    outputs: Mapping[str, tuple[str, bytes]]


class Finished(msgspec.Struct, frozen=True):
    """A record's attempt that ended with something returned."""

    record_id: int
    attempt_no: int
    owner: str | None
    returned: Success | Failure


class _Written(msgspec.Struct, frozen=True):
    """A record whose attempt has been written: what its outputs hang on."""

    record_id: int
    attempt_id: int
    returned: Success | Failure | Step

    @property
    def outcome(self) -> Outcome | None:
        """What a success writes; None for a failure."""
        return None if isinstance(self.returned, Failure) else self.returned.outcome

    @property
    def outputs(self) -> Mapping[str, tuple[str, bytes]]:
        """stdout, stderr, error."""
        return self.returned.outputs if isinstance(self.returned, Failure) else self.returned.outcome.outputs


def success(kinds: Mapping[str, Kind], outcome: Outcome) -> Success:
    """Make a result ready to be stored.

    Raises:
        InvalidMolecule, InvalidSpecification, InvalidBody: something in it makes no sense.
    """
    steps = tuple(_step(kinds, child) for child in outcome.children)
    return Success(outcome, _texts(outcome), tuple(map(_place, outcome.molecules)), steps)


def failure(failed: FailedOperation) -> Failure:
    """Make a failure ready to be stored."""
    error = failed.error or ComputeError()
    return Failure(_text(error.error_type, 100), _text(error.error_message, 1000), failure_outputs(failed))


def _text(text: str, most: int) -> str:
    return text.replace("\0", "")[:most]


def _step(kinds: Mapping[str, Kind], child: Child) -> Step:
    specification = specifications.prepare(kinds[child.kind], child.specification)
    return Step(child, _texts(child.outcome), specification, tuple(map(_place, child.parts)))


def _texts(outcome: Outcome) -> Texts:
    return Texts(
        stored_json(outcome.properties),
        stored_json(outcome.extras),
        stored_json(outcome.fields),
        stored_json(outcome.provenance),
    )


def _place(part: Part) -> Place:
    assert not isinstance(part.molecule, int)
    return Place(part, stored({**part.molecule, "validated": part.molecule.get("validated", True)}))


async def store(conn: Connection, worker_id: int, finished: Sequence[Finished]) -> None:
    """Store results and failures, and move their records to complete or error."""
    if not finished:
        return
    successes = [(one, one.returned) for one in finished if isinstance(one.returned, Success)]
    molecule_ids = await _molecule_ids(conn, [s for _, s in successes])
    await statements.execute(
        conn,
        "attempts/supersede",
        record_ids=[one.record_id for one in finished],
        attempt_nos=[one.attempt_no for one in finished],
    )
    written = await _end_attempts(conn, worker_id, finished)
    written += await _bear(conn, successes, molecule_ids)
    await _add_results(conn, written)
    await _add_places(conn, written, molecule_ids)
    await _add_blobs(conn, written)
    await statements.execute(
        conn,
        "records/finish",
        ids=[one.record_id for one in finished],
        statuses=["complete" if isinstance(one.returned, Success) else "error" for one in finished],
        worker_ids=[worker_id] * len(finished),
    )


async def _molecule_ids(conn: Connection, successes: Sequence[Success]) -> dict[str, int]:
    places = [p for s in successes for p in (*s.places, *(p for step in s.steps for p in step.places))]
    found = [p.molecule for p in places]
    ensured = await molecules.ensure(conn, found)
    return {m.hash: i for m, i in zip(found, ensured.ids, strict=True)}


async def _end_attempts(conn: Connection, worker_id: int, finished: Sequence[Finished]) -> list[_Written]:
    failures = [one.returned if isinstance(one.returned, Failure) else None for one in finished]
    rows = await statements.tuples(
        conn,
        "attempts/end",
        record_ids=[one.record_id for one in finished],
        attempt_nos=[one.attempt_no for one in finished],
        outcomes=["complete" if f is None else "error" for f in failures],
        worker_ids=[worker_id] * len(finished),
        provenances=[one.returned.texts.provenance if isinstance(one.returned, Success) else None for one in finished],
        error_types=[f and f.error_type for f in failures],
        error_messages=[f and f.error_message for f in failures],
    )
    attempt_ids = {record_id: attempt_id for record_id, _, attempt_id in rows}
    return [_Written(one.record_id, attempt_ids[one.record_id], one.returned) for one in finished]


async def _bear(
    conn: Connection, successes: Sequence[tuple[Finished, Success]], molecule_ids: Mapping[str, int]
) -> list[_Written]:
    """Add the children that come with results; they belong to whom their parents belong."""
    steps = [(one, step) for one, s in successes for step in s.steps]
    if not steps:
        return []
    spec_ids = await specifications.ensure(conn, [step.specification for _, step in steps])
    ids = await statements.column(
        conn,
        "records/add_finished",
        kinds=[step.child.kind for _, step in steps],
        spec_ids=[spec_ids[step.specification.hash] for _, step in steps],
        identities=[_identity(step, molecule_ids) for _, step in steps],
        owners=[one.owner for one, _ in steps],
        parent_ids=[one.record_id for one, _ in steps],
        roles=[step.child.role for _, step in steps],
        positions=[step.child.position for _, step in steps],
    )
    nothing = [None] * len(ids)
    rows = await statements.tuples(
        conn,
        "attempts/end",
        record_ids=ids,
        attempt_nos=[0] * len(ids),
        outcomes=["complete"] * len(ids),
        worker_ids=nothing,
        provenances=[step.texts.provenance for _, step in steps],
        error_types=nothing,
        error_messages=nothing,
    )
    attempt_ids = {record_id: attempt_id for record_id, _, attempt_id in rows}
    return [_Written(i, attempt_ids[i], step) for i, (_, step) in zip(ids, steps, strict=True)]


def _identity(step: Step, molecule_ids: Mapping[str, int]) -> bytes:
    parts = [msgspec.structs.replace(p.part, molecule=molecule_ids[p.molecule.hash]) for p in step.places]
    return step.specification.kind.identity(step.specification.hash, parts, {})


async def _add_results(conn: Connection, written: Sequence[_Written]) -> None:
    done = [(w.record_id, w.returned.texts) for w in written if not isinstance(w.returned, Failure)]
    await statements.execute(
        conn,
        "records/add_results",
        ids=[i for i, _ in done],
        properties=[texts.properties for _, texts in done],
        extras=[texts.extras for _, texts in done],
        fields=[texts.fields for _, texts in done],
    )


async def _add_places(conn: Connection, written: Sequence[_Written], molecule_ids: Mapping[str, int]) -> None:
    places = [(w.record_id, p) for w in written if not isinstance(w.returned, Failure) for p in w.returned.places]
    await statements.execute(
        conn,
        "records/add_molecules",
        record_ids=[i for i, _ in places],
        roles=[p.part.role for _, p in places],
        positions=[p.part.position for _, p in places],
        coefficients=[p.part.coefficient for _, p in places],
        molecule_ids=[molecule_ids[p.molecule.hash] for _, p in places],
    )


async def _add_blobs(conn: Connection, written: Sequence[_Written]) -> None:
    blobs: list[tuple[int, int, str, str, str, bytes]] = []
    for w in written:
        blobs += [(w.record_id, w.attempt_id, kind, "", c, data) for kind, (c, data) in w.outputs.items()]
        if w.outcome is not None:
            files = w.outcome.native_files.items()
            blobs += [(w.record_id, 0, "native_file", name, c, data) for name, (c, data) in files]
            if w.outcome.wavefunction is not None:
                blobs.append((w.record_id, 0, "wavefunction", "", "zstd", w.outcome.wavefunction))
    columns = list(zip(*blobs, strict=True)) if blobs else [()] * 6
    names = ("record_ids", "attempt_ids", "types", "names", "compressions", "datas")
    await statements.execute(conn, "blobs/add", **dict(zip(names, map(list, columns), strict=True)))
