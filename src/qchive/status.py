"""The life of a record, as data.

`ACTIONS` are what people do to records, `EVENTS` what compute managers and the server do. Statements that move records,
request checks, client methods, the command line and the documentation read these rows; nothing else sets a status.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum

import msgspec


class RecordStatusEnum(StrEnum):
    """Where a record is in its life."""

    complete = "complete"
    error = "error"
    running = "running"
    waiting = "waiting"
    cancelled = "cancelled"
    invalid = "invalid"
    deleted = "deleted"

    @classmethod
    def _missing_(cls, value: object) -> RecordStatusEnum | None:
        lower = str(value).lower()
        return next((s for s in cls if s.value == lower), None)

    def __str__(self) -> str:
        return f"RecordStatusEnum.{self.value}"


Status = RecordStatusEnum


class PriorityEnum(IntEnum):
    """How urgent a task is within its tag."""

    low = 0
    normal = 1
    high = 2

    @classmethod
    def of(cls, value: int | str | PriorityEnum) -> PriorityEnum:
        """From a number or a case-insensitive name.

        Raises:
            ValueError: neither.
        """
        if isinstance(value, str):
            try:
                return cls[value.lower()]
            except KeyError:
                raise ValueError(f"no priority {value!r}: use low, normal or high") from None
        return cls(value)

    def __str__(self) -> str:
        return f"PriorityEnum.{self.name}"


class Spread(StrEnum):
    """Which relatives an action reaches, each judged by its own status."""

    none = "none"
    children = "children"
    parents = "parents"
    family = "family"
    """Parents, and the children of all these that no other parent still needs."""


class Effect(StrEnum):
    """What an action does to the stack of a record's earlier statuses."""

    push = "push"
    """The status left behind goes on top, so that a later action finds it there."""
    pop = "pop"
    """The status on top becomes the record's own."""
    clear = "clear"
    """The record starts anew; nothing is left on the stack."""
    keep = "keep"
    """The status stays; something else about the record changes."""
    none = "none"
    """The record itself is not changed."""
    remove = "remove"
    """The record is gone, with its stack."""

    @property
    def inverse(self) -> Effect:
        """What takes this effect back."""
        return {Effect.push: Effect.pop, Effect.pop: Effect.push}.get(self, self)


IRREVERSIBLE = frozenset({Effect.none, Effect.remove})
"""What cannot be undone, because nothing about a record's life changed, or nothing of it is left."""


class Action(msgspec.Struct, frozen=True):
    """One thing people do to records: from which statuses, to which, and how far it reaches."""

    name: str
    sources: frozenset[Status]
    target: Status | None
    """None: the status on top of the record's stack, or the one it has."""
    effect: Effect
    spread: Spread
    doc: str
    may: str = "records:modify"
    """`resource:action` that the caller's role must hold."""
    may_undo: str = "records:modify"
    """What whoever takes such an operation back must hold: the permission for the opposite."""
    unfinished: bool = False
    """Whether it applies only to what has not been computed yet, also below a cancellation or deletion."""
    also: Mapping[Status, Status] = {}
    """What becomes of relatives that are in none of the sources."""

    @property
    def undoable(self) -> bool:
        """Whether what it did can be taken back by undoing the operation."""
        return self.effect not in IRREVERSIBLE


def _from(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


S = Status
_NOT_DELETED = frozenset(Status) - {S.deleted}
UNFINISHED = _from(S.waiting, S.running, S.error)
"""Statuses of what has still to be computed."""

ACTIONS: dict[str, Action] = {
    a.name: a
    for a in (
        Action("reset", _from(S.error), S.waiting, Effect.clear, Spread.children, "Run failed records again."),
        Action(
            "cancel",
            UNFINISHED,
            S.cancelled,
            Effect.push,
            Spread.family,
            "Stop records that have not finished; their parents and unfinished relatives stop with them.",
        ),
        Action("uncancel", _from(S.cancelled), None, Effect.pop, Spread.children, "Take a cancellation back."),
        Action(
            "invalidate",
            _from(S.complete),
            S.invalid,
            Effect.push,
            Spread.parents,
            "Mark finished records as not to be trusted, and what was computed from them; parents still at work stop.",
            also=dict.fromkeys(UNFINISHED, S.cancelled),
        ),
        Action("uninvalidate", _from(S.invalid), None, Effect.pop, Spread.children, "Trust records again."),
        Action(
            "delete",
            _NOT_DELETED,
            S.deleted,
            Effect.push,
            Spread.family,
            "Mark records as deleted; everything stays on the server and can be brought back.",
            may="records:delete",
        ),
        Action(
            "delete_alone",
            _NOT_DELETED,
            S.deleted,
            Effect.push,
            Spread.parents,
            "Mark records and their parents as deleted, but not their children.",
            may="records:delete",
        ),
        Action(
            "undelete",
            _from(S.deleted),
            None,
            Effect.pop,
            Spread.children,
            "Bring deleted records back.",
            may_undo="records:delete",
        ),
        Action(
            "modify",
            frozenset(Status) - {S.complete, S.invalid},
            None,
            Effect.keep,
            Spread.children,
            "Change tag or priority of what still has to be computed, also of what a composite record waits for.",
            unfinished=True,
        ),
        Action("comment", frozenset(Status), None, Effect.none, Spread.none, "Write a comment on records."),
        Action(
            "remove",
            frozenset(Status),
            None,
            Effect.remove,
            Spread.children,
            "Remove records for good, unless something still refers to them.",
            may="records:delete",
        ),
        Action(
            "purge",
            _from(S.deleted),
            None,
            Effect.remove,
            Spread.children,
            "Remove records for good that were deleted before, unless something still refers to them.",
            may="records:delete",
        ),
    )
}

BY_TARGET: dict[Status, Action] = {
    target: ACTIONS[n] for n in ("reset", "cancel", "invalidate") if (target := ACTIONS[n].target)
}
"""What asking for a status means (`PATCH records`)."""

BY_REVERT: dict[Status, Action] = {next(iter(a.sources)): a for a in ACTIONS.values() if a.effect is Effect.pop}
"""What reverting a status means (`POST records/revert`)."""


class Event(msgspec.Struct, frozen=True):
    """One thing compute managers or the server do to a record."""

    name: str
    sources: frozenset[Status]
    target: Status
    doc: str


EVENTS: dict[str, Event] = {
    e.name: e
    for e in (
        Event("claim", _from(S.waiting), S.running, "A compute manager takes the record's task."),
        Event("start", _from(S.waiting), S.running, "The server starts on a composite record."),
        Event(
            "finish",
            _from(S.running, S.waiting, S.error),
            S.complete,
            "A compute manager returns a result; also that of an attempt which had been given up.",
        ),
        Event(
            "fail",
            _from(S.running, S.waiting),
            S.error,
            "A compute manager returns a failure, or something that is no result.",
        ),
        Event("release", _from(S.running), S.waiting, "The manager that held it is gone; the attempt is over."),
        Event("quarantine", _from(S.running), S.error, "Lost too many times in a row; a person should look."),
    )
}
