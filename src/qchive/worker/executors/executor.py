"""What the worker's loop needs of whatever runs its tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import msgspec

from qchive.api.managers import ManagerName


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One claimed task, and the manager name it was claimed under, which is the one that may return it."""

    id: int
    record_id: int
    function: str
    kwargs: bytes
    """zstd(msgpack) as the server sent them."""
    claimed_as: ManagerName


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task."""

    task_id: int
    claimed_as: ManagerName
    success: bool
    result: bytes
    """zstd(msgpack), ready to be returned."""
    wall_time: float
    """Seconds that the task ran."""


Report = Callable[[Finished], None]


class Executor(ABC):
    """Runs tasks; each one handed in is reported once, unless it is cancelled or the executor stops first.

    `report` is called from a thread of the executor's. A task that crashes, hangs or outgrows its memory is reported as
    a failed result; it never takes other tasks with it.
    """

    slots: int
    """How many tasks run at the same time."""

    def __init__(self, report: Report) -> None:
        self.report = report

    @abstractmethod
    def programs(self) -> dict[str, str]:
        """Programs that can be run, by lower-case name, with their versions. Asked once, at the start.

        Raises:
            ChildKeepsDying: the processes that run tasks do not even start; the message ends with what they said.
        """

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Run this task as soon as there is room."""

    @abstractmethod
    def cancel(self, task_id: int) -> None:
        """Stop this task, running or not, and forget it. Unknown ids are ignored: the task may just have finished."""

    @abstractmethod
    def held(self) -> list[Task]:
        """The tasks handed in and not yet reported."""

    @abstractmethod
    def running(self) -> int:
        """How many tasks run just now."""

    @abstractmethod
    def problem(self) -> Exception | None:
        """What keeps this executor from running anything any more, if anything does."""

    @abstractmethod
    def stop(self) -> None:
        """Stop everything that runs, within seconds; nothing is reported afterwards. Calling it twice is harmless."""
