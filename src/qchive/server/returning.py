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


class Returned(msgspec.Struct):
    """One returned result, decoded as far as it could be without knowing its record."""

    task_id: int
    packed: bytes = b""
    failed: FailedOperation | None = None
    refused: str | None = None


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
    given = await asyncio.to_thread(_unpack, body, ctx.settings.max_result)

    async def work(conn: Connection) -> TaskReturnMetadata:
        known = await statements.tuples(conn, "managers/contact", name=name)
        if not known:
            raise ManagerRefused(f"Manager {name} does not exist")
        return await _store(conn, ctx, known[0][0], given)

    return await ctx.db.run(work)


def _unpack(body: Return, limit: int) -> list[Returned]:
    given = []
    for task_id, data in body.results_compressed.items():
        one = Returned(task_id)
        try:
            one.packed = decompress_bytes(data.data, "zstd", limit)
            one.failed = failure(one.packed)
        except (ResultRefused, QCHiveError) as e:
            one.refused = str(e)
        given.append(one)
    return given


async def _store(conn: Connection, ctx: Context, worker_id: int, given: Sequence[Returned]) -> TaskReturnMetadata:
    records = await _lock(conn, given)
    standings = await _standings(conn, records, given)
    answer = TaskReturnMetadata(rejected_info=[], accepted_ids=[])
    finished: list[storing.Finished] = []
    failures = 0
    for one in given:
        record_id, attempt_no = attempt_of(one.task_id)
        decoded = _decode(ctx.kinds, records.get(record_id), one)
        success = isinstance(decoded, storing.Success)
        verdict = judge(standings.get(one.task_id), attempt_no, worker_id, success=success)
        if isinstance(verdict, str):
            answer.rejected_info.append((one.task_id, verdict))
            continue
        if one.refused is not None:
            answer.rejected_info.append((one.task_id, one.refused))
        else:
            answer.accepted_ids.append(one.task_id)
            failures += not success
        if verdict is Verdict.store:
            record = records[record_id]
            finished.append(storing.Finished(record.id, attempt_no, record.owner, decoded))
    await storing.store(conn, worker_id, finished)
    await statements.execute(
        conn,
        "managers/count",
        id=worker_id,
        successes=len(answer.accepted_ids) - failures,
        failures=failures,
        rejected=len(answer.rejected_info),
    )
    answer.accepted_ids.sort()
    answer.rejected_info.sort()
    return answer


async def _lock(conn: Connection, given: Sequence[Returned]) -> dict[int, Locked]:
    ids = [record_id for record_id, _ in (attempt_of(one.task_id) for one in given)]
    fitting = [i for i in ids if 0 < i < 2**47]
    return {r.id: r for r in await statements.rows(conn, "records/lock", Locked, ids=fitting)}


async def _standings(conn: Connection, records: Mapping[int, Locked], given: Sequence[Returned]) -> dict[int, Standing]:
    asked = [(one.task_id, *attempt_of(one.task_id)) for one in given]
    asked = [a for a in asked if a[1] in records]
    ended = {
        (record_id, attempt): (outcome, by)
        for record_id, attempt, outcome, by in await statements.tuples(
            conn, "attempts/ended", record_ids=[a[1] for a in asked], attempt_nos=[a[2] for a in asked]
        )
    }
    found = {}
    for task_id, record_id, attempt in asked:
        r = records[record_id]
        outcome, by = ended.get((record_id, attempt), (None, None))
        found[task_id] = Standing(Status(r.status), r.attempt_no, r.worker_id, outcome, by)
    return found


def _decode(kinds: Mapping[str, Kind], record: Locked | None, one: Returned) -> storing.Success | FailedOperation:
    """What the result is for its record. One that does not fit is a failure that says so, and is refused."""
    if one.refused is None and one.failed is None and record is not None:
        try:
            _check_id(record.id, one.packed)
            return storing.success(kinds, kinds[record.kind].outcome(one.packed))
        except (ResultRefused, QCHiveError) as e:
            one.refused = str(e)
    if one.failed is not None:
        return one.failed
    message = f"The compute manager returned something that cannot be stored: {one.refused}"
    return FailedOperation(error=ComputeError(error_type=UNFIT, error_message=message))


class _Id(msgspec.Struct):
    id: str | int | None = None


def _check_id(record_id: int, packed: bytes) -> None:
    stated = msgspec.msgpack.decode(packed, type=_Id).id
    if stated is not None and str(stated).isdigit() and int(stated) != record_id:
        raise ResultRefused(f"The result says it belongs to record {stated}, but this task is record {record_id}'s")
