"""Moving records: every action through one lock and one move (`status.py` holds the actions)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from qchive.db import statements
from qchive.db.pool import Connection
from qchive.server.family import Family
from qchive.server.flows import waking
from qchive.server.rules.channel import CHANNEL
from qchive.status import UNFINISHED, Action, Effect, Spread, Status


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done to records, by whom and why."""

    action: Action
    tag: str | None = None
    priority: int | None = None
    comment: str | None = None
    username: str | None = None
    reason: str | None = None
    operation_id: int | None = None
    """The operation that this is a part of; None: one of its own."""
    undone: int | None = None
    """The operation to take back; then `action` is its inverse."""

    @property
    def queue(self) -> bool:
        """Whether tag or priority are to change."""
        return self.tag is not None or self.priority is not None

    @property
    def unfinished(self) -> bool:
        """Whether only what still has to be computed fits."""
        return self.action.unfinished or self.queue

    @property
    def changes(self) -> dict[str, str | int]:
        """What is new about the records beside their status."""
        parts = {"compute_tag": self.tag, "compute_priority": self.priority, "comment": self.comment}
        return {name: value for name, value in parts.items() if value is not None}


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change."""

    asked: Collection[int]
    before: Mapping[int, Status]
    """Status of those that exist, before."""
    changed: frozenset[int]
    """All that changed, relatives too."""

    @property
    def fit(self) -> set[int]:
        """Those asked for that changed."""
        return set(self.changed.intersection(self.asked))

    @property
    def relatives(self) -> int:
        """How many changed along with them."""
        return len(self.changed.difference(self.asked))


class Locked(msgspec.Struct, frozen=True):
    """Locked records: those asked for, and what an action on them reaches."""

    before: dict[int, Status]
    start: set[int]
    """Those asked for that the action applies to; it spreads from them alone."""
    reached: set[int]


async def change(conn: Connection, ids: Iterable[int], what: Change) -> Moved:
    """Do it to all of them that fit, and to the relatives it reaches from those; one operation, a move for each."""
    asked = set(ids)
    family = await lock_family(conn, asked, what.action, unfinished=what.unfinished, undoing=what.undone is not None)
    operation_id, changed = what.operation_id, frozenset(family.start)
    if what.action.effect is not Effect.none:
        operation_id, changed = await _move(conn, what, asked, family)
        if changed and what.action.effect is not Effect.keep:
            waking.moved(conn, changed)
    if what.comment:
        await statements.execute(
            conn,
            "comments/add",
            ids=list(changed & asked),
            n=len(asked),
            text=what.comment,
            changes=_json(what.changes),
            username=what.username,
            reason=what.reason,
            operation_id=operation_id,
        )
    return Moved(asked=asked, before=family.before, changed=changed)


async def _move(conn: Connection, what: Change, asked: Collection[int], family: Locked) -> tuple[int, frozenset[int]]:
    action, ids = what.action, list(family.reached)
    ((operation_id, moved),) = await statements.tuples(
        conn,
        "records/move",
        ids=ids,
        asked=[i in asked for i in ids],
        fit=[i in family.start or action.effect is Effect.keep for i in ids],
        n=len(asked),
        action=action.name,
        effect=action.effect.value,
        sources=[s.value for s in action.sources],
        target=action.target and action.target.value,
        also=[s.value for s in action.also],
        also_target=next((s.value for s in action.also.values()), None),
        unfinished=what.unfinished,
        tag=what.tag,
        priority=what.priority,
        changes=_json(what.changes),
        username=what.username,
        reason=what.reason,
        operation_id=what.operation_id,
        undone=what.undone,
        channel=CHANNEL,
    )
    return operation_id, frozenset(moved or ())


async def remove(conn: Connection, ids: Iterable[int], what: Change, *, children: bool) -> Moved:
    """Remove records for good, with `children` also theirs that the action applies to; what is referred to stays."""
    asked = set(ids)
    family = await lock_family(conn, asked, what.action, children=children)
    reached = [i for i in family.reached if family.before[i] in what.action.sources]
    waking.hold(conn, reached)  # by the cascade alone they would be locked in any order
    gone = await statements.column(
        conn,
        "records/delete",
        ids=reached,
        asked=[i in asked for i in reached],
        n=len(asked),
        action=what.action.name,
        username=what.username,
        reason=what.reason,
        operation_id=what.operation_id,
    )
    return Moved(asked=asked, before=family.before, changed=frozenset(gone))


async def lock_family(
    conn: Connection,
    ids: Collection[int],
    action: Action,
    *,
    unfinished: bool = False,
    undoing: bool = False,
    children: bool = True,
) -> Locked:
    """Lock records and all that the action reaches from those it applies to.

    Everything that decides is locked in the order of the ids. Somebody may link a new child until the lock holds, so
    look again until nothing new is found.
    """
    spread = action.spread if children and not undoing else Spread.none
    narrow = unfinished and spread is not Spread.none and action.effect is not Effect.keep
    sources = action.sources & UNFINISHED if narrow else action.sources
    before: dict[int, Status] = {}
    family = Family(ids, spread)
    await family.look(conn)
    while True:
        new = list((family.all | family.outside).difference(before))
        locked = await statements.tuples(conn, "records/lock_status", ids=new)
        for i, status in locked:
            before[i] = Status(status)
        start = {i for i in ids if i in before and before[i] in sources}
        family = Family(start, spread)
        await family.look(conn)
        if before.keys() >= family.all | family.outside:
            return Locked(before, start, family.reached(before, sources))


def _json(value: Mapping[str, str | int]) -> str:
    return msgspec.json.encode(value).decode()


def why_not(record_id: int, before: Mapping[int, Status], action: Action) -> str:
    """Why a record was left as it is."""
    if record_id not in before:
        return f"Record {record_id} does not exist"
    return f"Record {record_id} is {before[record_id].value}, so {action.name} does not apply"


def still_referenced(ids: Sequence[int], moved: Moved) -> list[tuple[int, str]]:
    """Positions of those that could not be removed. An id that does not exist is as good as removed."""
    return [(n, STILL_REFERENCED) for n, i in enumerate(ids) if i in moved.before and i not in moved.changed]


STILL_REFERENCED = "Integrity Error - may still be referenced"
