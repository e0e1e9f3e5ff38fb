"""What people do to records: every action through one lock and one move (`status.py` holds the actions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qchive.api.metadata import DeleteMetadata, UpdateMetadata
from qchive.api.records import RecordDelete, RecordModify, RecordRevert
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import InvalidBody
from qchive.server.context import Context
from qchive.status import ACTIONS, BY_REVERT, BY_TARGET, Action, Spread, Status

STILL_REFERENCED = "Integrity Error - may still be referenced"


async def modify(ctx: Context, body: RecordModify) -> UpdateMetadata:
    """New status, tag, priority or comment. A record counts as changed only if all of it applies; if one part cannot,
    none is applied to that record."""
    action = _action(body)
    tag, priority = body.queue_tag, body.queue_priority
    if action is None and tag is None and priority is None and not body.comment:
        raise InvalidBody("Nothing to change: give a status, a compute_tag, a compute_priority or a comment")

    async def work(conn: Connection) -> UpdateMetadata:
        ids = body.record_ids
        status = await _lock(conn, ids)
        fit = {i for i in ids if i in status and (action is None or status[i] in action.sources)}
        moved: set[int] = set(fit)
        if tag is not None or priority is not None:
            level = None if priority is None else int(priority)
            fit &= set(await statements.column(conn, "records/queue", ids=list(fit), tag=tag, priority=level))
            moved &= fit
        if action is not None:
            moved = await move(conn, action, {i: status[i] for i in fit}, ctx.caller.username)
        if body.comment:
            await statements.execute(
                conn, "comments/add", ids=list(fit), username=ctx.caller.username, text=body.comment
            )
        return _updated(ids, fit, moved, status, action)

    return await ctx.db.run(work)


def _action(body: RecordModify) -> Action | None:
    if body.status is None:
        return None
    if body.status not in BY_TARGET:
        allowed = ", ".join(s.value for s in BY_TARGET)
        raise InvalidBody(f"Records cannot be set to {body.status.value}: use one of {allowed}")
    return BY_TARGET[body.status]


async def revert(ctx: Context, body: RecordRevert) -> UpdateMetadata:
    """Take a cancellation, invalidation or deletion back."""
    if body.revert_status not in BY_REVERT:
        allowed = ", ".join(s.value for s in BY_REVERT)
        raise InvalidBody(f"{body.revert_status.value} cannot be reverted: use one of {allowed}")
    action = BY_REVERT[body.revert_status]

    async def work(conn: Connection) -> UpdateMetadata:
        status = await _lock(conn, body.record_ids)
        moved = await move(conn, action, status, ctx.caller.username)
        return _updated(body.record_ids, moved, moved, status, action)

    return await ctx.db.run(work)


async def delete(ctx: Context, record_id: int) -> DeleteMetadata:
    """Soft-delete one record and its children."""
    return await bulk_delete(ctx, RecordDelete(record_ids=[record_id], soft_delete=True, delete_children=True))


async def bulk_delete(ctx: Context, body: RecordDelete) -> DeleteMetadata:
    """Mark records as deleted, or remove them for good."""
    ids = body.record_ids

    async def soft(conn: Connection) -> DeleteMetadata:
        action = ACTIONS["delete" if body.delete_children else "delete_alone"]
        status = await _lock(conn, ids)
        moved = await move(conn, action, status, ctx.caller.username)
        done = _updated(ids, moved, moved, status, action)
        return DeleteMetadata(
            errors=done.errors, deleted_idx=done.updated_idx, n_children_deleted=done.n_children_updated
        )

    async def hard(conn: Connection) -> DeleteMetadata:
        return await _remove(conn, ctx, ids, children=body.delete_children)

    return await ctx.db.run(soft if body.soft_delete else hard)


async def move(conn: Connection, action: Action, locked: Mapping[int, Status], username: str | None) -> set[int]:
    """Move locked records, and the relatives that the action reaches from those it changes; all that moved."""
    start = [i for i, status in locked.items() if status in action.sources]
    reached = await _lock_relatives(conn, start, action.spread)
    return set(
        await statements.column(
            conn,
            "records/move",
            ids=list(reached),
            action=action.name,
            sources=[s.value for s in action.sources],
            target=action.target and action.target.value,
            keeps=action.keeps,
            username=username,
        )
    )


async def _lock(conn: Connection, ids: Sequence[int]) -> dict[int, Status]:
    return {i: Status(s) for i, s in await statements.tuples(conn, "records/lock_status", ids=list(set(ids)))}


async def _lock_relatives(conn: Connection, ids: Sequence[int], spread: Spread) -> set[int]:
    """Lock all that an action reaches. Somebody may link a new child until the lock holds, so look again until the
    family no longer grows."""
    reached = set(ids)
    if spread is Spread.none or not reached:
        return reached
    up, down = spread in (Spread.parents, Spread.family), spread in (Spread.children, Spread.family)
    while True:
        family = set(await statements.column(conn, "records/relatives", ids=list(reached), up=up, down=down))
        if family <= reached:
            return reached
        reached |= family
        await _lock(conn, list(reached))


def _updated(
    ids: Sequence[int], changed: set[int], moved: set[int], status: dict[int, Status], action: Action | None
) -> UpdateMetadata:
    return UpdateMetadata(
        updated_idx=[n for n, i in enumerate(ids) if i in changed],
        errors=[(n, _why_not(i, status, action)) for n, i in enumerate(ids) if i not in changed],
        n_children_updated=len(moved - set(ids)),
    )


def _why_not(record_id: int, status: dict[int, Status], action: Action | None) -> str:
    if record_id not in status:
        return f"Record {record_id} does not exist"
    now = status[record_id].value
    return f"Record {record_id} is {now}, so {action.name if action else 'modify'} does not apply"


async def _remove(conn: Connection, ctx: Context, ids: Sequence[int], *, children: bool) -> DeleteMetadata:
    status = await _lock(conn, ids)
    family = await _lock_relatives(conn, list(status), Spread.children if children else Spread.none)
    gone = set(await statements.column(conn, "records/delete", ids=list(family), username=ctx.caller.username))
    # An id that does not exist is as good as deleted: existing clients expect success.
    done = gone | {i for i in ids if i not in status}
    return DeleteMetadata(
        deleted_idx=[n for n, i in enumerate(ids) if i in done],
        errors=[(n, STILL_REFERENCED) for n, i in enumerate(ids) if i not in done],
        n_children_deleted=len(gone - set(ids)),
    )
