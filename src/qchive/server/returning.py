"""Taking results back: each judged on its own, all of a batch stored with one statement per table."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

import msgspec

from qchive.api.metadata import TaskReturnMetadata
from qchive.api.tasks import Return, attempt_of
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import InvalidBody, LimitExceeded, ManagerRefused, QCHiveError, TooLarge
from qchive.kinds import Kind
from qchive.kinds.kind import ResultRefused
from qchive.kinds.result import PACKED_PARTS, ComputeError, FailedOperation, failure, schema_name
from qchive.server import storing
from qchive.server.context import Context
from qchive.server.faults import fault
from qchive.server.flows import waking
from qchive.server.judging import Standing, Verdict, judge
from qchive.server.resetting import reset_failed
from qchive.server.settings import AutoReset
from qchive.status import Status
from qchive.wire import decompress_bytes, unpacked_size

log = logging.getLogger("qchive.server")

UNFIT = "result_refused"
"""The error type of a record whose manager returned something that cannot be stored."""

AT_ONCE = 1 << 18
"""Bytes of unpacked results that are read at once; more are read beside other requests, by a thread."""

UNKNOWN = ""
"""The kind of record that a result was read for whose schema no kind has."""


class Returned(msgspec.Struct, frozen=True):
    """One returned result, read and ready to be stored."""

    task_id: int
    ready: storing.Success | storing.Failure
    refused: str | None = None
    """Why the result itself is not taken; what is ready is then a failure that says so."""
    kind: str | None = None
    """The kind of record that it was read for; None if it reads the same for any."""

    @property
    def record_id(self) -> int:
        """The record it is for."""
        return attempt_of(self.task_id)[0]

    @property
    def attempt_no(self) -> int:
        """Which of the record's attempts it belongs to."""
        return attempt_of(self.task_id)[1]

    @property
    def success(self) -> bool:
        """Whether it makes its record complete."""
        return isinstance(self.ready, storing.Success)


class Locked(msgspec.Struct):
    """A record that a result is for."""

    id: int
    kind: str
    status: str
    attempt_no: int
    worker_id: int | None
    owner: str | None


async def return_finished(ctx: Context, body: Return) -> TaskReturnMetadata:
    """Take results. Refusals are per result, with the reason; nothing of a batch is lost because of a neighbour."""
    name = body.name_data.fullname
    most = ctx.settings.limits["manager_tasks_claim"]
    if len(body.results_compressed) > most:
        raise LimitExceeded(f"Attempted to return too many results - limit is {most}", limit=most)
    packed = {task_id: data.data for task_id, data in body.results_compressed.items()}
    given = _read_all(ctx, packed) if _quick(packed) else await asyncio.to_thread(_read_all, ctx, packed)
    try:
        taken = await _take(ctx, name, packed, given)
    except QCHiveError:
        raise
    except Exception as trouble:
        # One result holds something that neither we nor PostgreSQL foresaw. The others shall not suffer from it.
        log.error("results of %r are taken one by one: %r", name, trouble)
        taken = _merged([await _take_alone(ctx, name, packed, one) for one in given])
    ctx.tally.accepted += len(taken.accepted_ids)
    ctx.tally.rejected += len(taken.rejected_info)
    return taken


def _quick(packed: Mapping[int, bytes]) -> bool:
    """Whether results are small, and hold no packed parts: these may unpack to a million times their own size."""
    sizes = [unpacked_size(data) for data in packed.values()]
    if None in sizes or sum(size or 0 for size in sizes) > AT_ONCE:
        return False
    try:
        return not any(PACKED_PARTS in decompress_bytes(data, "zstd", AT_ONCE) for data in packed.values())
    except (InvalidBody, TooLarge):
        return False


def _read_all(ctx: Context, packed: Mapping[int, bytes]) -> list[Returned]:
    return [_read(ctx, task_id, data) for task_id, data in packed.items()]


def _read(ctx: Context, task_id: int, data: bytes, kind: Kind | None = None) -> Returned:
    """Read a result for a record of this kind; if that is not known yet, of the kind that has such results."""
    read_for = kind.name if kind else None
    try:
        unpacked = decompress_bytes(data, "zstd", ctx.settings.max_result)
        failed = failure(unpacked)
        if failed is not None:
            return Returned(task_id, storing.failure(failed))
        kind = kind or _likely(ctx.kinds, schema_name(unpacked))
        read_for = kind.name if kind else UNKNOWN
        if kind is None:
            raise ResultRefused("No record has such a result")
        return Returned(task_id, storing.success(ctx.kinds, kind.outcome(unpacked)), kind=read_for)
    except (ResultRefused, QCHiveError, RecursionError) as e:
        return _unfit(task_id, str(e), read_for)
    except Exception as e:
        # A fault of ours: it costs this one result, not its neighbours.
        return _unforeseen(e, task_id, read_for)


def _likely(kinds: Mapping[str, Kind], schema: str | None) -> Kind | None:
    return next((kind for kind in kinds.values() if kind.schema and kind.schema == schema), None)


async def _read_again(
    ctx: Context, packed: Mapping[int, bytes], given: Sequence[Returned], records: Mapping[int, Locked]
) -> list[Returned]:
    """The same results; what was read for another kind than its record has turned out to be of, is read once more."""

    def fit(one: Returned) -> Returned:
        record = records.get(one.record_id)
        if record is None or one.kind in (None, record.kind):
            return one
        if record.kind not in ctx.kinds:
            return _unfit(one.task_id, f"This server does not know records of type {record.kind}")
        return _read(ctx, one.task_id, packed[one.task_id], ctx.kinds[record.kind])

    if all(one.kind in (None, records[one.record_id].kind) for one in given if one.record_id in records):
        return list(given)
    return await asyncio.to_thread(lambda: list(map(fit, given)))


def _unfit(task_id: int, reason: str, kind: str | None = None) -> Returned:
    message = f"The compute manager returned something that cannot be stored: {reason}"
    error = ComputeError(error_type=UNFIT, error_message=message)
    return Returned(task_id, storing.failure(FailedOperation(error=error)), reason, kind)


def _unforeseen(error: Exception, task_id: int, kind: str | None = None) -> Returned:
    error_id = fault(error, f"the result of task {task_id}").fields["error_id"]
    return _unfit(task_id, f"Internal server error {error_id}: ask your admin", kind)


async def _take(ctx: Context, name: str, packed: Mapping[int, bytes], given: Sequence[Returned]) -> TaskReturnMetadata:
    async def work(conn: Connection) -> TaskReturnMetadata:
        contact = statements.later(conn, "managers/contact", name=name, whose=ctx.caller.owner)
        lock = statements.later(conn, "records/lock", ids=[one.record_id for one in given])
        ended = await _ended(conn, given)
        known = contact.tuples()
        if not known:
            raise ManagerRefused(f"Manager {name} does not exist")
        records = {r.id: r for r in lock.rows(Locked)}
        read = await _read_again(ctx, packed, given, records)
        return await _store(conn, known[0][0], read, records, ended, ctx.settings.auto_reset)

    return await ctx.db.run(work)


async def _take_alone(ctx: Context, name: str, packed: Mapping[int, bytes], one: Returned) -> TaskReturnMetadata:
    try:
        return await _take(ctx, name, packed, [one])
    except QCHiveError:
        raise
    except Exception as e:
        return await _take(ctx, name, packed, [_unforeseen(e, one.task_id)])


def _merged(answers: Sequence[TaskReturnMetadata]) -> TaskReturnMetadata:
    return TaskReturnMetadata(
        rejected_info=sorted(r for a in answers for r in a.rejected_info),
        accepted_ids=sorted(i for a in answers for i in a.accepted_ids),
    )


async def _store(
    conn: Connection,
    worker_id: int,
    given: Sequence[Returned],
    records: Mapping[int, Locked],
    ended: Mapping[int, tuple[str, int | None]],
    auto_reset: AutoReset,
) -> TaskReturnMetadata:
    accepted: list[int] = []
    rejected: list[tuple[int, str]] = []
    finished: list[storing.Finished] = []
    # Two attempts of one record may come back together: then the success counts.
    for one in sorted(given, key=lambda one: not one.success):
        record = records.get(one.record_id)
        verdict = judge(_standing(record, ended.get(one.task_id)), one.attempt_no, worker_id, success=one.success)
        reason = verdict if isinstance(verdict, str) else one.refused
        if reason is None:
            accepted.append(one.task_id)
        else:
            rejected.append((one.task_id, reason))
        if verdict is Verdict.store and record is not None:
            finished.append(storing.Finished(record.id, one.attempt_no, record.owner, one.ready))
            record.status = (Status.complete if one.success else Status.error).value
    await storing.store(conn, worker_id, finished)
    failed = [one.record_id for one in finished if isinstance(one.returned, storing.Failure)]
    await reset_failed(conn, failed, auto_reset)
    if finished:
        waking.ended(conn, [one.record_id for one in finished])
    failures = sum(not one.success for one in given if one.task_id in accepted)
    statements.later(
        conn,
        "managers/count",
        id=worker_id,
        successes=len(accepted) - failures,
        failures=failures,
        rejected=len(rejected),
    )
    return TaskReturnMetadata(rejected_info=sorted(rejected), accepted_ids=sorted(accepted))


async def _ended(conn: Connection, given: Sequence[Returned]) -> dict[int, tuple[str, int | None]]:
    """How the attempts ended, by task id, and whose they were; those still open are missing."""
    record_ids, attempt_nos = [one.record_id for one in given], [one.attempt_no for one in given]
    found = await statements.tuples(conn, "attempts/ended", record_ids=record_ids, attempt_nos=attempt_nos)
    by_attempt = {(record_id, attempt): (outcome, by) for record_id, attempt, outcome, by in found}
    return {
        one.task_id: by_attempt[one.record_id, one.attempt_no]
        for one in given
        if (one.record_id, one.attempt_no) in by_attempt
    }


def _standing(record: Locked | None, ended: tuple[str, int | None] | None) -> Standing | None:
    if record is None:
        return None
    outcome, by = ended or (None, None)
    return Standing(Status(record.status), record.attempt_no, record.worker_id, outcome, by)
