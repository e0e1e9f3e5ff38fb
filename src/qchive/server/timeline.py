"""All that happened to a record, in one list."""

from __future__ import annotations

from qchive.api.records import HistoryEvent, RecordComment
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import NotFound
from qchive.server.context import Context
from qchive.status import RecordStatusEnum


async def timeline(ctx: Context, record_id: int) -> list[HistoryEvent]:
    """Attempts, moves and comments of a record, oldest first; of one that was removed, what people did to it."""

    async def work(conn: Connection) -> list[HistoryEvent]:
        born = await statements.column(conn, "records/born", id=record_id)
        moves = await _moves(conn, record_id)
        if not born and not moves:
            raise NotFound(f"Cannot find record {record_id}", ids=[record_id])
        events = [HistoryEvent(time=time, event="created") for time in born]
        return [*events, *await _attempts(conn, record_id), *moves, *await _comments(conn, record_id)]

    # What happened in one instant keeps its order: an attempt ends before the move that ended it.
    return sorted(await ctx.db.read(work), key=lambda event: event.time)


async def _moves(conn: Connection, record_id: int) -> list[HistoryEvent]:
    rows = await statements.tuples(conn, "operations/history", id=record_id)
    return [
        HistoryEvent(
            time=time,
            event="move",
            operation_id=operation_id,
            username=username,
            action=action,
            reason=reason,
            source=RecordStatusEnum(source),
            target=None if target is None else RecordStatusEnum(target),
            tag=tag,
            priority=priority,
            new_tag=new_tag,
            new_priority=new_priority,
        )
        for time, operation_id, username, action, reason, source, target, tag, priority, new_tag, new_priority in rows
    ]


async def _attempts(conn: Connection, record_id: int) -> list[HistoryEvent]:
    rows = await statements.tuples(conn, "attempts/timeline", id=record_id)
    return [
        HistoryEvent(
            time=ended_on or started_on,
            event="attempt",
            attempt_no=number,
            outcome=outcome,
            manager_name=manager_name,
            started_on=started_on,
            error_type=error_type,
            error_class=error_class,
            error_message=message,
        )
        for number, outcome, manager_name, started_on, ended_on, error_type, error_class, message in rows
    ]


async def _comments(conn: Connection, record_id: int) -> list[HistoryEvent]:
    return [
        HistoryEvent(time=one.timestamp, event="comment", username=one.username, comment=one.comment)
        for one in await statements.rows(conn, "comments/list", RecordComment, ids=[record_id])
    ]
