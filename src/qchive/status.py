"""The life of a record, as data.

`ACTIONS` are what people do to records, `EVENTS` what compute managers and the server do. Statements that move records,
request checks, client methods, the command line and the documentation read these rows; nothing else sets a status.
"""

from __future__ import annotations

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


class Action(msgspec.Struct, frozen=True):
    """One thing people do to records: from which statuses, to which, and how far it reaches."""

    name: str
    sources: frozenset[Status]
    target: Status | None
    """None: back to the status on top of the record's stack."""
    keeps: bool
    """Whether the status left behind is pushed on the stack, so that the action can be undone."""
    spread: Spread
    doc: str

    @property
    def undoes(self) -> bool:
        """Whether this action pops the stack."""
        return self.target is None


def _from(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


S = Status
_NOT_DELETED = frozenset(Status) - {S.deleted}

ACTIONS: dict[str, Action] = {
    a.name: a
    for a in (
        Action("reset", _from(S.error), S.waiting, False, Spread.children, "Run failed records again."),
        Action(
            "cancel",
            _from(S.waiting, S.running, S.error),
            S.cancelled,
            True,
            Spread.family,
            "Stop records that have not finished; their parents and unfinished relatives stop with them.",
        ),
        Action("uncancel", _from(S.cancelled), None, False, Spread.children, "Take a cancellation back."),
        Action(
            "invalidate",
            _from(S.complete),
            S.invalid,
            True,
            Spread.parents,
            "Mark finished records as not to be trusted, and what was computed from them.",
        ),
        Action("uninvalidate", _from(S.invalid), None, False, Spread.children, "Trust records again."),
        Action(
            "delete",
            _NOT_DELETED,
            S.deleted,
            True,
            Spread.family,
            "Mark records as deleted; everything stays on the server and can be brought back.",
        ),
        Action(
            "delete_alone",
            _NOT_DELETED,
            S.deleted,
            True,
            Spread.parents,
            "Mark records and their parents as deleted, but not their children.",
        ),
        Action("undelete", _from(S.deleted), None, False, Spread.children, "Bring deleted records back."),
    )
}

BY_TARGET: dict[Status, Action] = {
    target: ACTIONS[n] for n in ("reset", "cancel", "invalidate") if (target := ACTIONS[n].target)
}
"""What asking for a status means (`PATCH records`)."""

BY_REVERT: dict[Status, Action] = {
    next(iter(ACTIONS[n].sources)): ACTIONS[n] for n in ("uncancel", "uninvalidate", "undelete")
}
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
