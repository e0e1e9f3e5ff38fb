"""Actions on all records that fit a filter: looked at, done, read afterwards, taken back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

import msgspec

from qchive.api import operations as api
from qchive.api.endpoint import Count
from qchive.api.records import Selection, StatusCount
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.errors import CountMoved, InvalidBody, NotFound, NotUndoable
from qchive.kinds.kind import Id
from qchive.server import access, jobs
from qchive.server.context import Context
from qchive.server.running import RUN, run_to_the_end
from qchive.status import ACTIONS, IRREVERSIBLE, Action, Effect, RecordStatusEnum
from qchive.wire import Json

EXAMPLES = 5


class Looked(msgspec.Struct, frozen=True, array_like=True):
    """What a preview was asked, and what it saw, as its token carries it. Whoever has read this can make one up, so it
    gives no right and is checked like any request."""

    plan: api.Plan
    count: Count
    upto: Id
    """The highest id that fitted: what comes later is left alone."""


class Row(msgspec.Struct):
    """An operation as it is stored."""

    id: int
    time: datetime
    username: str | None
    action: str
    reason: str | None
    changes: str
    filter: str | None
    undoes: int | None
    job_id: int | None
    state: str
    expected: int | None
    changed: int
    relatives: int
    refused: int


async def preview(ctx: Context, body: api.Plan) -> api.Preview:
    """Count what an action would change, with a few examples and a token to do it."""
    action = _action(ctx, body.action)
    _changes(body, action)

    async def work(conn: Connection) -> tuple[Counts, list[api.Example]]:
        counts = await _counts(conn, body.filter, action)
        ids = await statements.composed(conn, *where.selected(body.filter, action, 0, counts.upto, EXAMPLES))
        return counts, await statements.rows(conn, "operations/examples", api.Example, ids=ids)

    counts, examples = await ctx.db.read(work)
    return api.Preview(
        action=action.name,
        count=counts.count,
        by_status=counts.fitting,
        others=counts.others,
        examples=examples,
        background=counts.count > ctx.settings.operation_at_once,
        token=_token(Looked(body, counts.count, counts.upto)),
    )


def _action(ctx: Context, name: str) -> Action:
    action = ACTIONS.get(name)
    if action is None or action.name == "remove":
        allowed = ", ".join(a for a in ACTIONS if a != "remove")
        raise InvalidBody(f"There is no action {name!r} on records that fit a filter: use one of {allowed}")
    access.check(ctx.caller, action.may)
    return action


def _changes(body: api.Plan, action: Action) -> dict[str, str | int]:
    priority = body.queue_priority
    given: dict[str, str | int | None] = {
        "compute_tag": body.queue_tag,
        "compute_priority": None if priority is None else int(priority),
        "comment": body.comment,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    needed = {"modify": {"compute_tag", "compute_priority"}, "comment": {"comment"}}.get(action.name, set())
    if needed and not needed & set(changes):
        raise InvalidBody(f"Nothing to change: {action.name} wants {' or '.join(sorted(needed))}")
    if set(changes) - needed - {"comment"}:
        raise InvalidBody(f"{action.name} changes neither tag nor priority: leave {', '.join(sorted(changes))} out")
    return changes


class Counts(msgspec.Struct, frozen=True):
    """How many records fit a filter: those that an action applies to, and the others."""

    fitting: list[StatusCount]
    others: list[StatusCount]
    upto: int
    """The highest id."""

    @property
    def count(self) -> int:
        """To how many the action applies."""
        return sum(c.count for c in self.fitting)


async def _counts(conn: Connection, selection: Selection, action: Action, upto: int | None = None) -> Counts:
    rows = await statements.composed_tuples(conn, *where.counted(selection, action, upto))

    def shown(kind: str, status: str, count: int) -> list[StatusCount]:
        return [StatusCount(record_type=kind, status=RecordStatusEnum(status), count=count)] if count else []

    return Counts(
        fitting=[c for kind, status, _, fits, _ in rows for c in shown(kind, status, fits)],
        others=[c for kind, status, count, fits, _ in rows for c in shown(kind, status, count - fits)],
        upto=max((highest for *_, highest in rows), default=0),
    )


def _token(looked: Looked) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(looked)).decode()


def _looked(token: str) -> Looked:
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(token), type=Looked)
    except (binascii.Error, ValueError, RecursionError, msgspec.DecodeError):
        raise InvalidBody("This is no token of a preview: ask for one with operations/preview") from None


async def apply(ctx: Context, body: api.Apply) -> api.Operation:
    """Do what was looked at, unless something else would be changed by now."""
    looked = _looked(body.token)
    plan = looked.plan
    action = _action(ctx, plan.action)
    changes = _changes(plan, action)

    async def work(conn: Connection) -> api.Operation:
        now = (await _counts(conn, plan.filter, action, looked.upto)).count
        if abs(now - looked.count) > body.tolerance * looked.count:
            raise CountMoved(
                f"{now} records would be changed by now, not {looked.count} as in the preview: look again",
                expected=looked.count,
                count=now,
            )
        operation_id = await _begin(
            ctx,
            conn,
            action=action.name,
            effect=action.effect,
            reason=body.reason,
            changes=changes,
            filter=msgspec.json.encode(plan.filter).decode(),
            upto=looked.upto,
            expected=now,
        )
        return await _one(conn, operation_id)

    return await ctx.db.run(work)


async def _begin(
    ctx: Context,
    conn: Connection,
    *,
    action: str,
    effect: Effect,
    expected: int,
    reason: str | None,
    changes: dict[str, str | int] | None = None,
    filter: str | None = None,
    undoes: int | None = None,
    upto: int | None = None,
) -> int:
    """Begin an operation; what is little is done in this very transaction, what is much by a job."""
    (operation_id,) = await statements.column(
        conn,
        "operations/begin",
        username=ctx.caller.username,
        action=action,
        effect=effect.value,
        reason=reason,
        changes=msgspec.json.encode(changes or {}).decode(),
        filter=filter,
        undoes=undoes,
        upto=upto,
        expected=expected,
    )
    if expected <= ctx.settings.operation_at_once:
        await run_to_the_end(conn, operation_id)
    else:
        job_id = await jobs.add(
            conn,
            name=f"operation_{operation_id}",
            function=RUN,
            kwargs={"operation_id": operation_id},
            username=ctx.caller.username,
        )
        await statements.execute(conn, "operations/job", id=operation_id, job_id=job_id)
    return int(operation_id)


async def undo(ctx: Context, body: api.Undo, operation_id: int) -> api.Operation:
    """Take an operation back for all records whose last move it was; one that still runs is stopped first."""

    async def work(conn: Connection) -> api.Operation:
        await _check_undo(ctx, conn, operation_id)
        await statements.execute(conn, "operations/stop", id=operation_id)
        ((action, effect, moves),) = await statements.tuples(conn, "operations/undoable", id=operation_id)
        if Effect(effect) in IRREVERSIBLE:
            raise NotUndoable(f"Operation {operation_id} ({action}) cannot be taken back")
        begun = await _begin(
            ctx,
            conn,
            action="undo",
            effect=Effect(effect).inverse,
            reason=body.reason,
            undoes=operation_id,
            expected=moves,
        )
        return await _one(conn, begun)

    return await ctx.db.run(work)


async def _check_undo(ctx: Context, conn: Connection, operation_id: int) -> None:
    """Let the caller take an operation back, or not; an undoing is taken back by doing the action again."""
    found = await statements.tuples(conn, "operations/done", id=operation_id)
    if not found:
        raise NotFound(f"There is no operation {operation_id}", ids=[operation_id])
    ((name, undoings),) = found
    action = ACTIONS[name]
    access.check(ctx.caller, action.may if undoings % 2 else action.may_undo)


async def stop(ctx: Context, operation_id: int) -> api.Operation:
    """Let a long operation go no further; what it has done stays, and can be taken back."""

    async def work(conn: Connection) -> api.Operation:
        await statements.execute(conn, "operations/stop", id=operation_id)
        return await _one(conn, operation_id)

    return await ctx.db.run(work)


async def get(ctx: Context, operation_id: int) -> api.Operation:
    """One operation."""
    return await ctx.db.read(lambda conn: _one(conn, operation_id))


async def query(ctx: Context, body: api.OperationQuery) -> list[api.Operation]:
    """Operations that fit, newest first."""

    async def work(conn: Connection) -> list[api.Operation]:
        return await _operations(conn, await statements.composed(conn, *where.operations(body, body.limit)))

    return await ctx.db.read(work)


async def moves(ctx: Context, body: api.Slice, operation_id: int) -> list[api.Move]:
    """What an operation did, record by record."""

    async def work(conn: Connection) -> list[api.Move]:
        found = await statements.rows(
            conn, "operations/moves", api.Move, id=operation_id, after=body.cursor, limit=body.limit
        )
        if not found:
            await _one(conn, operation_id)
        return found

    return await ctx.db.read(work)


async def left(ctx: Context, body: api.Slice, operation_id: int) -> list[api.Left]:
    """What an undoing left alone, and why."""

    async def work(conn: Connection) -> list[api.Left]:
        undone = (await _one(conn, operation_id)).undoes
        if undone is None:
            raise InvalidBody(f"Operation {operation_id} undoes nothing")
        rows = await statements.tuples(
            conn, "operations/left", id=operation_id, undone=undone, after=body.cursor, limit=body.limit
        )
        return [api.Left(record_id=i, reason=_why_left(*row)) for i, *row in rows]

    return await ctx.db.read(work)


def _why_left(target: str, after: int | None, status: str | None, operation_id: int | None) -> str:
    if status is None:
        return "It has been removed since"
    if operation_id != after:
        # Undoing steps back to the operation before.
        undone = operation_id is None or (after is not None and operation_id < after)
        return "It has been taken back already" if undone else f"Operation {operation_id} moved it later"
    return f"It is {status} by now, no longer {target}"


async def _one(conn: Connection, operation_id: int) -> api.Operation:
    found = await _operations(conn, [operation_id])
    if not found:
        raise NotFound(f"There is no operation {operation_id}", ids=[operation_id])
    return found[0]


async def _operations(conn: Connection, ids: Sequence[int]) -> list[api.Operation]:
    rows = await statements.rows(conn, "operations/get", Row, ids=list(ids))
    return [
        api.Operation(
            **{
                **msgspec.structs.asdict(row),
                "changes": Json(row.changes.encode()),
                "filter": None if row.filter is None else Json(row.filter.encode()),
            }
        )
        for row in rows
    ]
