"""One step of a composite record: look at its open batch, plan the next one, store it; or end the record.

All in one transaction. Planning may take seconds, and locks nothing that anybody else needs: only then the record is
locked, and if it does not stand any more where it did, what was planned is forgotten. A step that cannot be stored
fails the record: nothing stays as it is for ever without anybody knowing why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import psycopg
from psycopg import errors

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import Unavailable
from qchive.kinds import Kind
from qchive.kinds.flow import Batch, Done, FlowFailed, Progress
from qchive.kinds.kind import Outcome, Part
from qchive.kinds.result import ComputeError, FailedOperation
from qchive.server import storing
from qchive.server.faults import fault
from qchive.server.flows import spawning, waking
from qchive.server.flows.header import Header, Link
from qchive.server.flows.replay import Diverged, Plan, replay
from qchive.wire import compress, stored_json

_LOCK = 0x464C4F57  # "FLOW"
_OPEN = frozenset(("waiting", "running"))
_DEAD = frozenset(("cancelled", "invalid", "deleted"))
_NEVER_STORED = (errors.DataError, errors.IntegrityError, errors.ProgramLimitExceeded)
"""Trouble of PostgreSQL with what is to be stored, which would come again each time."""

BEFORE = "service_initialization_error"
"""The error type of a record that failed before its first batch."""
LATER = "service_iteration_error"
"""The error type of a record that failed behind that."""


class Trouble(msgspec.Struct, frozen=True):
    """Why a record cannot be computed."""

    error_type: str
    message: str


class Overtaken(Exception):
    """Somebody has changed the record or its children since they were looked at: what was planned is forgotten."""


async def advance(db: Database, kinds: Mapping[str, Kind], record_id: int) -> bool:
    """Take a composite record one step on; whether it may be looked at again at once."""
    try:
        return await _run(db, lambda conn: _step(conn, kinds, record_id))
    except Unavailable:
        raise
    except Exception as problem:
        if isinstance(problem, psycopg.Error) and not isinstance(problem, _NEVER_STORED):
            raise
        # What cannot be stored now cannot be stored later: somebody has to hear of it.
        reason = problem
    return await _run(db, lambda conn: _give_up(conn, kinds, record_id, reason))


async def _run(db: Database, work: Callable[[Connection], Awaitable[bool]]) -> bool:
    try:
        return await db.run(work)
    except Overtaken:
        return True


async def _get(conn: Connection, kinds: Mapping[str, Kind], record_id: int) -> Header | None:
    """The record, if it can be taken on and nobody else does so until this transaction ends."""
    # Not the flow itself is locked: whoever ends a child, or stops the record, is not to wait for the planning.
    free = statements.later(conn, "flows/try_lock", **{"class": _LOCK, "id": record_id})
    found = await statements.rows(conn, "flows/get", Header, id=record_id)
    return next((h for h in found if free.column()[0] and h.status in _OPEN and h.kind in kinds), None)


async def _step(conn: Connection, kinds: Mapping[str, Kind], record_id: int) -> bool:
    header = await _get(conn, kinds, record_id)
    if header is None:
        return False
    links = await statements.rows(conn, "flows/links", Link, id=record_id, first=header.checkpoint_batch)
    if any(link.status in _OPEN for link in links if link.batch == header.batch):
        return await _rest(conn, kinds, header)
    again = header.status == "waiting" and any(link.status in _DEAD for link in links)
    await _store(conn, kinds, header, await _next(conn, kinds, header, links, again=again))
    if any(link.kind in _internal(kinds) for link in links):
        statements.later(conn, "flows/clean", id=header.id, kinds=_internal(kinds), all=False)
    return True


def _internal(kinds: Mapping[str, Kind]) -> list[str]:
    return [kind.name for kind in kinds.values() if kind.internal]


async def _give_up(conn: Connection, kinds: Mapping[str, Kind], record_id: int, problem: Exception) -> bool:
    """The next step of the record cannot be stored: it fails."""
    header = await _get(conn, kinds, record_id)
    if header is None:
        return False
    await _store(conn, kinds, header, (header, _trouble(problem, header)))
    return True


async def _rest(conn: Connection, kinds: Mapping[str, Kind], header: Header) -> bool:
    """The batch is not done: only start the record, if it was stopped."""
    await _lock(conn, header)
    if header.status == "waiting":
        await _start(conn, kinds[header.kind], header)
    # A statement of its own: whoever is just ending a child has to be seen, or his mark would be lost.
    waking.hold(conn, [header.id])
    await statements.execute(conn, "flows/rest", id=header.id)
    return True


async def _next(
    conn: Connection, kinds: Mapping[str, Kind], header: Header, links: Sequence[Link], *, again: bool
) -> tuple[Header, Plan | Trouble]:
    """What comes next; a record that starts again may be planned anew, and is if something it was built on is gone."""
    unfinished = [link for link in links if link.status != "complete"]
    if unfinished and not again:
        return header, Trouble(LATER, _unfinished(unfinished))
    try:
        if not again:
            return header, await replay(conn, kinds, header, links)
    except psycopg.Error:
        raise
    except Exception as problem:
        if header.status != "waiting" or header.batch == 0 or isinstance(problem, ImportError):
            return header, _trouble(problem, header)
    anew = msgspec.structs.replace(header, batch=0, checkpoint=None, checkpoint_batch=1)
    try:
        return anew, await replay(conn, kinds, anew, ())
    except psycopg.Error:
        raise
    except Exception as problem:
        return header, _trouble(problem, header)


def _unfinished(links: Sequence[Link]) -> str:
    shown = sorted({(link.child_id, link.status) for link in links})
    listed = ", ".join(f"record {i} ({status})" for i, status in shown[:10]) + (" …" if len(shown) > 10 else "")
    dead = [status for _, status in shown if status != "error"]
    advice = "Reset this record to " + ("have them computed anew" if dead else "run them again")
    return f"Some task(s) did not complete successfully: {listed}. {advice}."


def _trouble(problem: Exception, header: Header) -> Trouble:
    kind = LATER if header.batch else BEFORE
    if isinstance(problem, FlowFailed | Diverged):
        return Trouble(kind, str(problem))
    if isinstance(problem, ImportError):
        return Trouble(
            kind,
            f"The server cannot plan a {header.kind}, because something is not installed there: {problem}. Install it"
            " (pip install 'qchive[services]'), start upkeep again, then reset this record.",
        )
    error_id = fault(problem, f"planning record {header.id}").fields["error_id"]
    return Trouble(kind, f"Planning this {header.kind} failed: {type(problem).__name__}; internal error {error_id}")


async def _lock(conn: Connection, header: Header, children: Collection[int] = ()) -> None:
    """Lock the record, and keep the children that it is to have as they are.

    People's actions lock records in the order of their ids, so children that are older come first. The flow comes after
    all of them: whoever ends a child holds that before he looks for flows.

    Raises:
        Overtaken: the record, or one of these children, is not any more what it was.
    """
    older = [i for i in children if i < header.id]
    kept = await _keep(conn, older)
    if header.standing not in await statements.tuples(conn, "flows/lock", id=header.id):
        raise Overtaken
    kept |= await _keep(conn, [i for i in children if i > header.id])
    if any(kept.get(i) not in spawning.LIVING for i in children):
        raise Overtaken


async def _keep(conn: Connection, ids: list[int]) -> dict[int, str]:
    return dict(await statements.tuples(conn, "flows/share", ids=ids)) if ids else {}


async def _store(
    conn: Connection, kinds: Mapping[str, Kind], header: Header, planned: tuple[Header, Plan | Trouble]
) -> None:
    begun, plan = planned
    anew = begun.batch == 0 < header.batch
    found = None
    if isinstance(plan, Plan) and isinstance(plan.next, Batch):
        own = dict(await statements.tuples(conn, "flows/identities", id=header.id)) if anew else {}
        found = await spawning.find(conn, header, plan.wishes, own)
    await _lock(conn, header, set(found.known.values()) if found else ())
    if header.status == "waiting":
        header = await _start(conn, kinds[header.kind], header)
    if isinstance(plan, Trouble):
        await _end(conn, header, _failure(plan))
    elif found is not None and isinstance(plan.next, Batch):
        if anew:
            statements.later(conn, "flows/clean", id=header.id, kinds=_internal(kinds), all=True)
            await statements.execute(conn, "flows/forget", id=header.id)
            _log(conn, header, "Planned anew from the beginning\n")
        await _go_on(conn, header, plan, plan.next, found, anew=anew)
    else:
        assert isinstance(plan.next, Done), "a flow returns what its record ends with"
        await _complete(conn, kinds, header, plan.next)


async def _start(conn: Connection, kind: Kind, header: Header) -> Header:
    assert kind.flow is not None
    try:
        provenance = stored_json(dict(kind.flow.provenance()))
    except ImportError:
        provenance = b"{}"
    (attempt_no,) = await statements.column(conn, "flows/start", id=header.id, provenance=provenance)
    how = "Restarting" if header.attempt_no else "Starting"
    started = msgspec.structs.replace(header, attempt_no=attempt_no, status="running")
    _log(conn, started, f"{how} service: {header.kind} at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
    return started


def _log(conn: Connection, header: Header, text: str) -> None:
    if text:
        data = compress(text)
        statements.later(conn, "flows/log", id=header.id, attempt_no=header.attempt_no, data=data)


async def _go_on(
    conn: Connection, header: Header, plan: Plan, batch: Batch, found: spawning.Found, *, anew: bool
) -> None:
    _log(conn, header, batch.log)
    await spawning.spawn(conn, header, plan.batch, plan.wishes, found)
    begins = batch.checkpoint is not None or anew
    statements.later(
        conn,
        "flows/advance",
        id=header.id,
        batch=plan.batch,
        begins=begins,
        checkpoint=None if batch.checkpoint is None else stored_json(batch.checkpoint),
        progress=_progress(batch.progress),
        fields=stored_json(_fields(header, batch.fields)),
        **_parts(batch.molecules),
    )


def _progress(progress: Progress | None) -> bytes | None:
    return None if progress is None else stored_json(msgspec.to_builtins(progress))


def _fields(header: Header, more: Mapping[str, object]) -> dict[str, object]:
    known: dict[str, object] = msgspec.json.decode(header.fields) if header.fields is not None else {}
    return {**known, **more}


def _parts(parts: Sequence[Part]) -> dict[str, list[object]]:
    return {
        "part_roles": [p.role for p in parts],
        "part_positions": [p.position for p in parts],
        "part_molecule_ids": [p.molecule for p in parts],
    }


async def _complete(conn: Connection, kinds: Mapping[str, Kind], header: Header, done: Done) -> None:
    flow = kinds[header.kind].flow
    assert flow is not None
    _log(conn, header, done.log)
    outcome = Outcome(
        properties=done.properties,
        extras={},
        provenance=dict(flow.provenance()),
        outputs={},
        fields=_fields(header, done.fields),
    )
    await _end(conn, header, storing.success(kinds, outcome))
    await statements.execute(conn, "flows/end", id=header.id, progress=_progress(done.progress))


def _failure(trouble: Trouble) -> storing.Failure:
    error = ComputeError(error_type=trouble.error_type, error_message=trouble.message)
    return storing.failure(FailedOperation(error=error))


async def _end(conn: Connection, header: Header, ended: storing.Success | storing.Failure) -> None:
    await storing.store(conn, None, [storing.Finished(header.id, header.attempt_no, header.owner, ended)])
    await conn.flush()
    waking.moved(conn, [header.id])
