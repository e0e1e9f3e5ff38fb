"""Actions on all records that fit a filter: looked at, done, read afterwards, taken back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from operator import index
from typing import Any

from qchive.api import operations as api
from qchive.api.endpoint import Endpoint
from qchive.api.operations import Left, Move
from qchive.api.records import Selection
from qchive.client import tables
from qchive.client.actions import new_queue
from qchive.client.given import filters, without_nothing
from qchive.client.iterators import WholeQueryIterator
from qchive.client.outputs import value_of
from qchive.client.progress import Bar
from qchive.client.session import Session
from qchive.client.tables import Counts
from qchive.status import ACTIONS, PriorityEnum

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.1, 2.0, 1.5


class Preview:
    """What an action would do. Nothing has been done yet; `apply()` does it.

    `count` records would change, which `by_status` counts by type and status; `others` counts those that fit the filter
    but would be left alone. `examples` are a few that would change; `background` says whether the server would take its
    time.
    """

    def __init__(self, document: api.Preview, client: OperationCalls) -> None:
        self._client = client
        self.action: str = document.action
        self.count: int = document.count
        self.by_status = Counts(document.by_status)
        self.others = Counts(document.others)
        self.examples: list[api.Example] = document.examples
        self.background: bool = document.background
        self.token: str = document.token

    def apply(
        self, reason: str | None = None, tolerance: float = 0.05, wait: bool = True, progress: bool = True
    ) -> Operation:
        """Do it. Records that came into the archive since the preview are left alone.

        `reason` is kept with the operation. What is much is done by the server in the background; with `wait=False` the
        operation is returned while it still runs.

        Raises:
            CountMoved: by now more than `tolerance` (a share, 0 to 1) more or fewer records would be changed.
        """
        body = without_nothing(api.Apply(token=self.token, reason=reason, tolerance=tolerance))
        return self._client._begun(api.APPLY, body, wait, progress)

    def __repr__(self) -> str:
        return "\n\n".join([self._said(), *(tables.text(*part) for part in self._tables())])

    def _repr_html_(self) -> str:
        return "".join([f"<p>{self._said()}</p>", *(tables.html("", *part) for part in self._tables())])

    def _said(self) -> str:
        return f"{self.action}: {self.count} would change, {self.others.total} would be left alone"

    def _tables(self) -> Iterator[tuple[list[str], list[list[Any]]]]:
        if self.count:
            yield self.by_status.table("would change")
            rows = [[e.id, e.record_type, e.status.value, e.program, e.method, e.basis] for e in self.examples]
            yield ["for example", "type", "status", "program", "method", "basis"], rows
        if self.others:
            yield self.others.table("left alone")


class Operation:
    """Something that was done to records, as it stood when it was asked for; `refresh()` asks again.

    Beside those below, an operation has what `qchive.api.operations.Operation` lists: `id`, `time`, `username`,
    `action`, `reason`, `undoes`, `job_id`, `state`, and how many records were `expected`, `changed`, changed along with
    them (`relatives`) and `refused`.
    """

    def __init__(self, document: api.Operation, client: OperationCalls) -> None:
        self._document = document
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name not in api.Operation.__struct_fields__:
            raise AttributeError(f"an operation has no {name}")
        return getattr(self._document, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *api.Operation.__struct_fields__]

    def __repr__(self) -> str:
        o = self._document
        what = f"{o.changed} changed, {o.relatives} relatives, {o.refused} refused"
        return f"<{type(self).__name__} id={o.id} {o.action} {o.state}: {what}>"

    def _repr_html_(self) -> str:
        pairs = ((name, getattr(self, name)) for name in api.Operation.__struct_fields__)
        return tables.facts(f"Operation {self._document.id}", ((k, v) for k, v in pairs if v not in (None, {})))

    @property
    def changes(self) -> dict[str, Any]:
        """New tag, new priority, comment."""
        return value_of(self._document.changes) or {}

    @property
    def filter(self) -> dict[str, Any] | None:
        """Which records were to be changed; None if they were named by their ids."""
        found: dict[str, Any] | None = value_of(self._document.filter)
        return found and {name: value for name, value in found.items() if value is not None}

    @property
    def undoable(self) -> bool:
        """Whether it can be taken back."""
        action = ACTIONS.get(self._document.action)
        return action is None or action.undoable

    def refresh(self) -> None:
        """Ask the server how it stands now."""
        self._document = self._client.connection.ask(api.GET, operation_id=self._document.id)

    def wait(self, timeout: float | None = None, progress: bool = True) -> None:
        """Wait until it no longer runs.

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_PAUSE
        with Bar(self.action, self.expected or 0, show=progress) as bar:
            while self.state == "running":
                left = pause if deadline is None else min(pause, deadline - time.monotonic())
                if left < 0:
                    raise TimeoutError(f"operation {self.id} ({self.action}) still runs after {timeout} s")
                time.sleep(left)
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)
                self.refresh()
                bar.at(self.changed + self.refused)

    def moves(self) -> Iterator[Move]:
        """What it did, record by record, in the order of their ids."""
        return self._slices(api.MOVES)

    def left(self) -> Iterator[Left]:
        """What it left alone, and why, if it took another operation back.

        Raises:
            InvalidBody: it took nothing back.
        """
        return self._slices(api.LEFT)

    def _slices(self, endpoint: Endpoint) -> Iterator[Any]:
        cursor = 0
        while True:
            body = api.Slice(cursor=cursor)
            found = self._client.connection.ask(endpoint, body=body, operation_id=self._document.id)
            yield from found
            if len(found) < body.limit:
                return
            cursor = found[-1].record_id

    def undo(self, reason: str | None = None, wait: bool = True, progress: bool = True) -> Operation:
        """Take it back for all records that nothing else has moved since; the answer is an operation, too.

        One that still runs is stopped first.

        Raises:
            NotUndoable: it wrote comments or removed records for good.
        """
        body = without_nothing(api.Undo(reason=reason))
        return self._client._begun(api.UNDO, body, wait, progress, operation_id=self._document.id)

    def stop(self) -> None:
        """Let it go no further, if it still runs; what it has done stays."""
        self._document = self._client.connection.ask(api.STOP, operation_id=self._document.id)


class OperationQueryIterator(WholeQueryIterator):
    """Operations that fit a query."""


class OperationCalls(Session):
    """Do something to all records that fit a filter, and look at what was done. Servers of QCHive only."""

    def preview(
        self,
        action: str,
        *,
        new_compute_tag: str | None = None,
        new_compute_priority: PriorityEnum | str | int | None = None,
        new_tag: str | None = None,
        new_priority: PriorityEnum | str | int | None = None,
        comment: str | None = None,
        **given: Any,
    ) -> Preview:
        """What an action on all records that fit would do: how many it would change, of which type and status, a few
        examples, and what it would leave alone. `apply()` of the answer does it.

        `action` is one of `qchive.status.ACTIONS`, except `remove`; `modify` wants a new tag or priority, `comment` a
        comment. Filters are those of `query_records`.

        Raises:
            TypeError: a filter that does not exist.
            InvalidBody: an action that does not exist, or has nothing to change.
        """
        changes = new_queue(new_compute_tag, new_compute_priority, new_tag, new_priority) | {"comment": comment}
        which = without_nothing(Selection(**filters(Selection, given)))
        body = {"action": action, "filter": which, **{k: v for k, v in changes.items() if v is not None}}
        return Preview(self.connection.ask(api.PREVIEW, body=body), self)

    def undo(
        self, operation: Operation | int, reason: str | None = None, wait: bool = True, progress: bool = True
    ) -> Operation:
        """Take an operation, or that of this id, back; see `Operation.undo`."""
        found = operation if isinstance(operation, Operation) else self.get_operation(operation)
        return found.undo(reason, wait, progress)

    def get_operation(self, operation_id: int) -> Operation:
        """One operation.

        Raises:
            NotFound: it does not exist.
        """
        return Operation(self.connection.ask(api.GET, operation_id=index(operation_id)), self)

    def query_operations(self, *, limit: int | None = None, **given: Any) -> OperationQueryIterator:
        """Operations that fit, newest first. Filters, one or several values each: `action`, `username`, `record_id`
        (that did something to one of these records); and `before`, `after`.

        Raises:
            TypeError: a filter that does not exist.
        """
        wanted = filters(api.OperationQuery, given)

        def page(size: int, cursor: int | None) -> list[Operation]:
            body = without_nothing(api.OperationQuery(**wanted, limit=size, cursor=cursor))
            return [Operation(one, self) for one in self.connection.ask(api.QUERY, body=body)]

        return OperationQueryIterator(page, limit, api.MOST // 4)

    def _begun(self, endpoint: Endpoint, body: Any, wait: bool, progress: bool, **path: Any) -> Operation:
        # Repeating a request that did arrive would do it twice.
        operation = Operation(self.connection.ask(endpoint, body=body, repeatable=False, **path), self)
        if wait:
            operation.wait(progress=progress)
        return operation
