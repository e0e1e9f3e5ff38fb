"""The protocol's requests that change records, given by id: one transaction each, and an answer for each position."""

from __future__ import annotations

from collections.abc import Sequence

from qchive.api.metadata import DeleteMetadata, UpdateMetadata
from qchive.api.records import RecordDelete, RecordModify, RecordRevert
from qchive.errors import InvalidBody
from qchive.server.context import Context
from qchive.server.moving import Change, Moved, change, remove, still_referenced, why_not
from qchive.status import ACTIONS, BY_REVERT, BY_TARGET, Action


async def modify(ctx: Context, body: RecordModify) -> UpdateMetadata:
    """New status, tag, priority or comment. A record counts as changed only if all of it applies; if one part cannot,
    none is applied to that record."""
    priority = body.queue_priority
    what = Change(
        action=_asked(body),
        tag=body.queue_tag,
        priority=None if priority is None else int(priority),
        comment=body.comment or None,
        username=ctx.caller.username,
        reason=body.reason,
    )
    return await _changed(ctx, body.record_ids, what)


def _asked(body: RecordModify) -> Action:
    if body.status is not None:
        if body.status not in BY_TARGET:
            allowed = ", ".join(s.value for s in BY_TARGET)
            raise InvalidBody(f"Records cannot be set to {body.status.value}: use one of {allowed}")
        return BY_TARGET[body.status]
    if body.queue_tag is not None or body.queue_priority is not None:
        return ACTIONS["modify"]
    if body.comment:
        return ACTIONS["comment"]
    raise InvalidBody("Nothing to change: give a status, a compute_tag, a compute_priority or a comment")


async def revert(ctx: Context, body: RecordRevert) -> UpdateMetadata:
    """Take a cancellation, invalidation or deletion back."""
    if body.revert_status not in BY_REVERT:
        allowed = ", ".join(s.value for s in BY_REVERT)
        raise InvalidBody(f"{body.revert_status.value} cannot be reverted: use one of {allowed}")
    what = Change(action=BY_REVERT[body.revert_status], username=ctx.caller.username, reason=body.reason)
    return await _changed(ctx, body.record_ids, what)


async def delete(ctx: Context, record_id: int) -> DeleteMetadata:
    """Soft-delete one record and its children."""
    return await bulk_delete(ctx, RecordDelete(record_ids=[record_id], soft_delete=True, delete_children=True))


async def bulk_delete(ctx: Context, body: RecordDelete) -> DeleteMetadata:
    """Mark records as deleted, or remove them for good."""
    ids = body.record_ids
    name = ("delete" if body.delete_children else "delete_alone") if body.soft_delete else "remove"
    what = Change(action=ACTIONS[name], username=ctx.caller.username, reason=body.reason)
    if body.soft_delete:
        done = await _changed(ctx, ids, what)
        return DeleteMetadata(
            errors=done.errors, deleted_idx=done.updated_idx, n_children_deleted=done.n_children_updated
        )
    moved = await ctx.db.run(lambda conn: remove(conn, ids, what, children=body.delete_children))
    refused = still_referenced(ids, moved)
    kept = {n for n, _ in refused}
    return DeleteMetadata(
        deleted_idx=[n for n in range(len(ids)) if n not in kept], errors=refused, n_children_deleted=moved.relatives
    )


async def _changed(ctx: Context, ids: Sequence[int], what: Change) -> UpdateMetadata:
    moved: Moved = await ctx.db.run(lambda conn: change(conn, ids, what))
    done = moved.changed
    return UpdateMetadata(
        updated_idx=[n for n, i in enumerate(ids) if i in done],
        errors=[(n, why_not(i, moved.before, what.action)) for n, i in enumerate(ids) if i not in done],
        n_children_updated=moved.relatives,
    )
