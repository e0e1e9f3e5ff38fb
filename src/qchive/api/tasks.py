"""Tasks: handing them out and taking results back (`managers-and-tasks.md` §7–9)."""

from __future__ import annotations

from typing import Any

import msgspec

from qchive.api.endpoint import Body, Endpoint
from qchive.api.managers import ManagerName, Offer
from qchive.api.metadata import TaskReturnMetadata
from qchive.kinds.kind import Id
from qchive.status import PriorityEnum
from qchive.wire import Bytes, decompress

ATTEMPTS = 1 << 16
"""Task ids are `record id × ATTEMPTS + number of the attempt`, so that each try is told apart."""


def task_id(record_id: int, attempt_no: int) -> int:
    """The id under which a manager returns this attempt's result."""
    return record_id * ATTEMPTS + attempt_no


def attempt_of(task: int) -> tuple[int, int]:
    """Record id and attempt number behind a task id."""
    return divmod(task, ATTEMPTS)


class Claim(Offer, kw_only=True):
    """A manager asks for at most `limit` tasks that it can run."""

    limit: Id


class RecordTask(msgspec.Struct, kw_only=True):
    """A task as managers and clients see it. Function and arguments are null until it was claimed once."""

    id: int
    record_id: int
    function: str | None
    function_kwargs_compressed: Bytes | None
    required_programs: list[str]
    tag: str
    priority: PriorityEnum

    @property
    def compute_tag(self) -> str:
        """The same as `tag`."""
        return self.tag

    @property
    def compute_priority(self) -> PriorityEnum:
        """The same as `priority`."""
        return self.priority

    @property
    def function_kwargs(self) -> dict[str, Any] | None:
        """The arguments, unpacked; None until the task was claimed once."""
        packed = self.function_kwargs_compressed
        return None if packed is None else decompress(packed.data)


class Return(Body, kw_only=True):
    """Results by task id, each zstd(msgpack(result))."""

    name_data: ManagerName
    results_compressed: dict[Id, Bytes]


CLAIM = Endpoint(
    name="tasks.claim",
    method="POST",
    path="/compute/v1/tasks/claim",
    may="tasks:claim",
    body=Claim,
    answer=list[RecordTask],
    doc="Take waiting tasks, the most urgent first.",
)
RETURN = Endpoint(
    name="tasks.return_finished",
    method="POST",
    path="/compute/v1/tasks/return",
    may="tasks:return",
    body=Return,
    answer=TaskReturnMetadata,
    doc="Give results back; each is judged on its own, and saying it twice changes nothing.",
)

ENDPOINTS = (CLAIM, RETURN)
