"""The server as a worker sees it: five requests, and what their refusals mean."""

from __future__ import annotations

from typing import Any

import msgspec

from qchive import errors
from qchive._version import __version__
from qchive.api import about, managers, tasks
from qchive.api.managers import Heartbeat, ManagerName, ManagerStatusEnum
from qchive.api.metadata import TaskReturnMetadata
from qchive.api.tasks import RecordTask
from qchive.client.connection import Connection
from qchive.wire import Bytes
from qchive.worker.executors.executor import Task


class Rules(msgspec.Struct):
    """What the server says about itself; another archive's server leaves `qchive_version` out."""

    name: str = "server"
    version: str = ""
    qchive_version: str | None = None
    api_limits: dict[str, int] = {}
    manager_heartbeat_frequency: float = 60.0
    manager_heartbeat_frequency_jitter: float = 0.1

    @property
    def most_returned(self) -> int:
        """Results in one request."""
        return self.api_limits.get("manager_tasks_return", 10)

    @property
    def most_claimed(self) -> int:
        """Tasks in one request."""
        return self.api_limits.get("manager_tasks_claim", 200)


class Load(msgspec.Struct, frozen=True):
    """What a heartbeat tells of a worker: running tasks, their cores and memory (GiB), core hours spent so far."""

    tasks: int
    cores: int
    memory: float
    cpu_hours: float


class Server:
    """Requests of one worker. Each raises what `Connection.ask` raises."""

    def __init__(self, connection: Connection, programs: dict[str, str], tags: list[str]) -> None:
        self.connection = connection
        self._offer = {
            "programs": {name: [version] for name, version in programs.items()},
            "compute_tags": tags,
        }
        self.rules = Rules()

    def ask_rules(self) -> None:
        """Learn the server's limits and how often it wants to hear of us."""
        self.rules = self.connection.ask(about.COMPUTE_INFORMATION, answer=Rules, retries=False)

    def activate(self, name: ManagerName) -> None:
        """Announce this worker. Saying it again is harmless."""
        body = {**self._offer, "name_data": _plain(name), "manager_version": __version__, "username": None}
        self.connection.ask(managers.ACTIVATE, body=body, retries=False)

    def heartbeat(self, name: ManagerName, load: Load, running: list[int]) -> list[int]:
        """Say that we are alive; the answer is which tasks to stop."""
        body = _update(ManagerStatusEnum.active, load)
        if self.rules.qchive_version is not None:  # other servers refuse a key they do not know
            body["running"] = running
        answer: Heartbeat | None = self.connection.ask(managers.UPDATE, body=body, name=name.fullname, retries=False)
        return answer.stop if answer is not None else []

    def deactivate(self, name: ManagerName, load: Load) -> None:
        """Say goodbye: what we still hold waits for others again."""
        body = _update(ManagerStatusEnum.inactive, load)
        self.connection.ask(managers.UPDATE, body=body, name=name.fullname, retries=False)

    def claim(self, name: ManagerName, limit: int) -> list[Task]:
        """Take at most `limit` tasks."""
        body = {**self._offer, "name_data": _plain(name), "limit": limit}
        found: list[RecordTask] = self.connection.ask(tasks.CLAIM, body=body, retries=False)
        return [_task(one, name) for one in found]

    def give_back(self, name: ManagerName, results: dict[int, bytes]) -> TaskReturnMetadata:
        """Return results of tasks that were claimed under this name."""
        body = {"name_data": _plain(name), "results_compressed": {i: Bytes(data) for i, data in results.items()}}
        answer: TaskReturnMetadata = self.connection.ask(tasks.RETURN, body=body, retries=False)
        return answer


def is_unknown_to(error: errors.QCHiveError) -> bool:
    """Whether the server does not know this manager, or no longer; then it has to activate anew, under a new name."""
    if isinstance(error, errors.ManagerRefused):
        return True
    # A server that names no error classes says it in words (managers-and-tasks.md §4, §7, §9).
    return isinstance(error, errors.RequestFailed) and error.status_code == 400 and "anager" in error.msg


def is_final(error: errors.QCHiveError) -> bool:
    """Whether the server has read the very request and will never take it."""
    return _status(error) in (400, 411, 413, 415, 422)


def is_too_large(error: errors.QCHiveError) -> bool:
    """Whether the server, or a proxy before it, does not read so large a request."""
    return _status(error) == 413


def is_misdirected(error: errors.QCHiveError) -> bool:
    """Whether who answers is not the server that was meant, or lets nobody in. May be passing, once it has worked."""
    status = _status(error)
    return status in (401, 403, 404, 405) or 300 <= status < 400


def is_stumbling(error: errors.QCHiveError) -> bool:
    """Whether the server was reached and failed by a fault of its own, which may lie in what was sent."""
    return _status(error) == 500


def _status(error: errors.QCHiveError) -> int:
    return (error.status_code or 0) if isinstance(error, errors.RequestFailed) else error.http


def _update(status: ManagerStatusEnum, load: Load) -> dict[str, Any]:
    return {
        "status": status.value,
        "active_tasks": load.tasks,
        "active_cores": load.cores,
        "active_memory": load.memory,
        "total_cpu_hours": load.cpu_hours,
    }


def _plain(name: ManagerName) -> dict[str, str]:
    return {"cluster": name.cluster, "hostname": name.hostname, "uuid": name.uuid}


def _task(given: RecordTask, name: ManagerName) -> Task:
    kwargs = given.function_kwargs_compressed
    return Task(
        id=given.id,
        record_id=given.record_id,
        function=given.function or "",
        kwargs=kwargs.data if kwargs is not None else b"",
        claimed_as=name,
    )
