"""What is done to records, as something to look at before, to do by filter, to read afterwards and to take back. Ours;
other servers of the protocol have nothing like it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qchive.api.endpoint import Body, Endpoint, Queue, Text
from qchive.api.records import Selection, StatusCount
from qchive.kinds.kind import Id
from qchive.status import RecordStatusEnum
from qchive.wire import Json

MOST = 1000
"""How many operations, moves or records an answer lists at most."""

Share = Annotated[float, Meta(ge=0, le=1)]


class Plan(Queue, kw_only=True):
    """An action on all records that fit a filter, to be looked at first."""

    action: Text
    """A row of `qchive.status.ACTIONS` such as `cancel`."""
    filter: Selection
    comment: Text | None = None
    """What to write, for `comment`."""


class Example(msgspec.Struct, kw_only=True):
    """One of the records that an action would change."""

    id: int
    record_type: str
    status: RecordStatusEnum
    program: str | None
    method: str | None
    basis: str | None


class Preview(msgspec.Struct, kw_only=True):
    """What an action would do."""

    action: str
    count: int
    """How many records fit the filter and are in a status that the action applies to."""
    by_status: list[StatusCount]
    """These, by kind and status."""
    others: list[StatusCount]
    """What fits the filter, but would be left alone."""
    examples: list[Example]
    """A few of those that would change."""
    background: bool
    """Whether there are so many that a job of the server would do it."""
    token: str
    """Says what was looked at; to be given back in order to do it."""


class Apply(Body, kw_only=True):
    """Do what was looked at."""

    token: Text
    reason: Text | None = None
    """Why; kept with the operation."""
    tolerance: Share = 0.05
    """By which share of it the number of records may have changed since the preview."""


class Operation(msgspec.Struct, kw_only=True):
    """Something that was done to records, or is being done."""

    id: int
    time: datetime
    username: str | None
    action: str
    reason: str | None
    changes: Json
    """New tag, new priority, comment."""
    filter: Json | None
    """None if the records were named by their ids."""
    undoes: int | None
    """The operation that this one took back."""
    job_id: int | None
    """The job that does it, if the server does it in the background."""
    state: str
    """`running`, `complete`, or `stopped` before it was through."""
    expected: int | None
    """How many records were to be changed, if that was counted."""
    changed: int
    """Of the records asked for."""
    relatives: int
    """Changed along with them."""
    refused: int
    """Asked for, but in no status that the action applies to."""


class Move(msgspec.Struct, kw_only=True):
    """What an operation did to one record."""

    record_id: int
    time: datetime
    source: RecordStatusEnum
    target: RecordStatusEnum | None
    """None if the record was removed for good."""
    tag: str | None
    """The tag it had, if that was replaced."""
    priority: int | None
    """The priority it had, if that was replaced."""


class Left(msgspec.Struct, kw_only=True):
    """A record that an undoing left alone, and why."""

    record_id: int
    reason: str


class Undo(Body, kw_only=True):
    """Take an operation back."""

    reason: Text | None = None


class OperationQuery(Body, kw_only=True):
    """Operations, newest first; AND between filters, OR inside a list."""

    action: list[Text] | None = None
    username: list[int | Text] | None = None
    record_id: list[Id] | None = None
    """That did something to one of these records."""
    before: datetime | None = None
    after: datetime | None = None
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 100
    cursor: Id | None = None


class Slice(Body, kw_only=True):
    """Part of a list that is ordered by record id: those above the cursor."""

    limit: Annotated[int, Meta(ge=0, le=MOST)] = MOST
    cursor: Id = 0


def _row(name: str, method: str, path: str, may: str, answer: Any, doc: str, **more: Any) -> Endpoint:
    return Endpoint(
        name=f"operations.{name}",
        method=method,
        path=f"/api/v1/operations{path}",
        may=may,
        answer=answer,
        doc=doc,
        **more,
    )


PREVIEW = _row(
    "preview",
    "POST",
    "/preview",
    "records:modify",
    Preview,
    "What an action on all records that fit a filter would do.",
    body=Plan,
    example={"action": "reset", "filter": {"status": ["error"], "error_class": ["random"]}},
)
APPLY = _row(
    "apply",
    "POST",
    "",
    "records:modify",
    Operation,
    "Do what was looked at, at once or, if it is much, in the background.",
    body=Apply,
)
GET = _row("get", "GET", "/{operation_id:int}", "records:read", Operation, "What was done, and how far it is.")
QUERY = _row(
    "query",
    "POST",
    "/query",
    "records:read",
    list[Operation],
    "What was done to records, newest first.",
    body=OperationQuery,
    example={"action": ["cancel"], "limit": 10},
)
MOVES = _row(
    "moves",
    "POST",
    "/{operation_id:int}/moves",
    "records:read",
    list[Move],
    "What an operation did, record by record.",
    body=Slice,
)
UNDO = _row(
    "undo",
    "POST",
    "/{operation_id:int}/undo",
    "records:modify",
    Operation,
    "Take an operation back, for all records that nothing else has moved since. Deleting again needs `records:delete`.",
    body=Undo,
)
LEFT = _row(
    "left",
    "POST",
    "/{operation_id:int}/left",
    "records:read",
    list[Left],
    "What undoing an operation left alone, and why.",
    body=Slice,
)
STOP = _row(
    "stop", "POST", "/{operation_id:int}/stop", "records:modify", Operation, "Let a long operation go no further."
)

ENDPOINTS = (PREVIEW, APPLY, QUERY, GET, MOVES, UNDO, LEFT, STOP)
