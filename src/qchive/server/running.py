"""Running a long operation: batch by batch in the order of the ids, one transaction each, so that it can be killed,
resumed, stopped and taken back at any point."""

from __future__ import annotations

import msgspec

from qchive.api.records import Selection
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.server.moving import Change, change, remove
from qchive.status import ACTIONS, Action, Effect, Spread, Status

RUN = "operations.run"
"""The name of the job function that runs a long operation."""
BATCH = 2000
"""Records of one transaction."""


class Ongoing(msgspec.Struct):
    """An operation whose next batch is to run."""

    id: int
    username: str | None
    action: str
    effect: str
    reason: str | None
    changes: str
    filter: str | None
    undoes: int | None
    upto: int | None
    position: int
    state: str
    expected: int
    changed: int
    refused: int


class Progress(msgspec.Struct, frozen=True):
    """How far an operation is."""

    done: bool
    """Whether nothing is left to do."""
    expected: int = 0
    changed: int = 0
    refused: int = 0

    @property
    def percent(self) -> int:
        """How much of what was expected has been seen, 0 to 100."""
        return min(100 * (self.changed + self.refused) // max(self.expected, 1), 100)


async def run_to_the_end(conn: Connection, operation_id: int) -> None:
    """All batches at once, in the caller's transaction."""
    while not (await run_batch(conn, operation_id)).done:
        pass


async def run_batch(conn: Connection, operation_id: int) -> Progress:
    """The next batch of an operation."""
    found = await statements.rows(conn, "operations/lock", Ongoing, id=operation_id)
    if not found:
        return Progress(done=True)
    at = found[0]
    if at.state != "running":
        return Progress(True, at.expected, at.changed, at.refused)
    ids = await _next(conn, at)
    last = len(ids) < BATCH
    what = _change(at)
    changed = relatives = 0
    if ids:
        removes = what.action.effect is Effect.remove
        moved = await (remove(conn, ids, what, children=True) if removes else change(conn, ids, what))
        changed, relatives = len(moved.fit), moved.relatives
    await statements.execute(
        conn,
        "operations/advance",
        id=operation_id,
        position=max(ids, default=at.position),
        changed=changed,
        relatives=relatives,
        refused=len(ids) - changed,
        last=last,
    )
    return Progress(last, at.expected, at.changed + changed, at.refused + len(ids) - changed)


async def _next(conn: Connection, at: Ongoing) -> list[int]:
    if at.undoes is not None:
        return await statements.column(conn, "operations/undoing", id=at.undoes, after=at.position, limit=BATCH)
    selection = msgspec.json.decode(at.filter or "{}", type=Selection)
    action = ACTIONS[at.action]
    return await statements.composed(conn, *where.selected(selection, action, at.position, at.upto or 0, BATCH))


def _change(at: Ongoing) -> Change:
    new = msgspec.json.decode(at.changes)
    return Change(
        action=_undoing(Effect(at.effect)) if at.undoes is not None else ACTIONS[at.action],
        tag=new.get("compute_tag"),
        priority=new.get("compute_priority"),
        comment=new.get("comment"),
        username=at.username,
        reason=at.reason,
        operation_id=at.id,
        undone=at.undoes,
    )


def _undoing(effect: Effect) -> Action:
    """Taking an operation back: each of its records on its own, to where it was."""
    return Action("undo", frozenset(Status), None, effect, Spread.none, "Take an operation back.")
