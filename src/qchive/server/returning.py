"""Taking results back: each judged on its own, all of a batch stored with one statement per table."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence

import msgspec

from qchive.api.metadata import TaskReturnMetadata
from qchive.api.tasks import Return, attempt_of
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import LimitExceeded, ManagerRefused, QCHiveError
from qchive.kinds import Kind
from qchive.kinds.kind import ResultRefused
from qchive.kinds.result import ComputeError, FailedOperation, failure
from qchive.server import storing
from qchive.server.context import Context
from qchive.server.judging import Standing, Verdict, judge
from qchive.status import Status
from qchive.wire import decompress_bytes

log = logging.getLogger("qchive.server")

UNFIT = "result_refused"
"""The error type of a record whose manager returned something that cannot be stored."""


class Returned(msgspec.Struct, frozen=True):
    """One returned result, read and ready to be stored."""

    task_id: int
    ready: storing.Success | storing.Failure
    refused: str | None = None
    """Why the result itself is not taken; what is ready is then a failure that says so."""

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
    kinds = await _kinds(ctx, body)
    given = await asyncio.to_thread(_read_all, ctx, kinds, body)
    try:
        return await _take(ctx, name, given)
    except QCHiveError:
        raise
    except Exception as trouble:
        # One result holds something that neither we nor PostgreSQL foresaw. The others shall not suffer from it.
        log.error("results of %s are taken one by one: %s", name, trouble)
        return _merged([await _take_alone(ctx, name, one) for one in given])


async def _kinds(ctx: Context, body: Return) -> dict[int, Kind]:
    ids = [attempt_of(task_id)[0] for task_id in body.results_compressed]
    found = await ctx.db.read(lambda conn: statements.tuples(conn, "records/kinds", ids=ids))
    return {record_id: ctx.kinds[kind] for record_id, kind in found if kind in ctx.kinds}


def _read_all(ctx: Context, kinds: Mapping[int, Kind], body: Return) -> list[Returned]:
    limit = ctx.settings.max_result
    read = []
    for task_id, data in body.results_compressed.items():
        try:
            read.append(Returned(task_id, _read(ctx, kinds.get(attempt_of(task_id)[0]), task_id, data.data, limit)))
        except (ResultRefused, QCHiveError, RecursionError) as e:
            read.append(_unfit(task_id, str(e)))
        except Exception:
            # A fault of ours: it costs this one result, not its neighbours.
            read.append(_unforeseen(task_id))
    return read


def _read(ctx: Context, kind: Kind | None, task_id: int, data: bytes, limit: int) -> storing.Success | storing.Failure:
    packed = decompress_bytes(data, "zstd", limit)
    failed = failure(packed)
    if failed is not None:
        return storing.failure(failed)
    if kind is None:
        raise ResultRefused("There is no such record")
    return storing.success(ctx.kinds, kind.outcome(packed))


def _unfit(task_id: int, reason: str) -> Returned:
    message = f"The compute manager returned something that cannot be stored: {reason}"
    error = ComputeError(error_type=UNFIT, error_message=message)
    return Returned(task_id, storing.failure(FailedOperation(error=error)), reason)


def _unforeseen(task_id: int) -> Returned:
    error_id = secrets.token_hex(6)
    log.exception("error %s: the result of task %s", error_id, task_id)
    return _unfit(task_id, f"Internal server error {error_id}: ask your admin")


async def _take(ctx: Context, name: str, given: Sequence[Returned]) -> TaskReturnMetadata:
    async def work(conn: Connection) -> TaskReturnMetadata:
        contact = statements.later(conn, "managers/contact", name=name)
        lock = statements.later(conn, "records/lock", ids=[one.record_id for one in given])
        ended = await _ended(conn, given)
        known = contact.tuples()
        if not known:
            raise ManagerRefused(f"Manager {name} does not exist")
        return await _store(conn, known[0][0], given, {r.id: r for r in lock.rows(Locked)}, ended)

    return await ctx.db.run(work)


async def _take_alone(ctx: Context, name: str, one: Returned) -> TaskReturnMetadata:
    try:
        return await _take(ctx, name, [one])
    except QCHiveError:
        raise
    except Exception:
        return await _take(ctx, name, [_unforeseen(one.task_id)])


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
