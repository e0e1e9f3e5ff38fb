"""Whether a returned result is taken, as a table: judged by the attempt it belongs to, not by its manager's standing.

This is where finished work is kept or lost, so it is pure and stands alone (`design`: never lose work).
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from qchive.status import Status

NO_TASK = "Task does not exist in the task queue"
NOT_RUNNING = "Task is not in a running state"
ANOTHER = "Task is claimed by another manager"


class Standing(msgspec.Struct, frozen=True):
    """Where a record and one of its attempts stand when the result of that attempt arrives."""

    status: Status
    attempt_no: int
    """The record's latest attempt."""
    worker_id: int | None
    """Who runs the record, or ran it last."""
    ended: str | None
    """How the attempt ended, if it has."""
    ended_by: int | None
    """Whose attempt that was."""


class Verdict(Enum):
    """What to do with a result."""

    store = auto()
    """Take it."""
    repeat = auto()
    """It was taken before: say so again, change nothing."""


def judge(at: Standing | None, attempt_no: int, worker_id: int, *, success: bool) -> Verdict | str:
    """A verdict, or the reason to refuse."""
    if at is None or not 0 < attempt_no <= at.attempt_no:
        return NO_TASK
    if at.ended in ("complete", "error"):
        # The reply to the first return was lost on the way.
        return Verdict.repeat if at.ended_by == worker_id else NO_TASK
    if at.ended is None:
        return _open(at, worker_id)
    if at.ended_by != worker_id:
        return ANOTHER
    return _given_up(at, attempt_no, success=success)


def _open(at: Standing, worker_id: int) -> Verdict | str:
    if at.status is not Status.running:
        return NO_TASK
    return Verdict.store if at.worker_id == worker_id else ANOTHER


def _given_up(at: Standing, attempt_no: int, *, success: bool) -> Verdict | str:
    """An attempt that was lost, handed back or stopped, and delivers after all."""
    if at.status in (Status.complete, Status.cancelled, Status.deleted, Status.invalid):
        return NO_TASK
    if at.status is Status.waiting and attempt_no == at.attempt_no:
        return Verdict.store
    if success:
        # Finished work is never thrown away; whoever else is running it is superseded.
        return Verdict.store
    return ANOTHER if at.status is Status.running else NOT_RUNNING
