"""Tasks as a server would hand them out, and a pool with what it has reported."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from qchive.api.managers import ManagerName
from qchive.kinds import result as returned
from qchive.wire import compress, decompress, decompress_bytes
from qchive.worker.executors.executor import Finished, Task
from qchive.worker.executors.warm import WarmPool

PLUGIN = "tests.worker.trouble"
NAME = ManagerName(cluster="test", hostname="here", uuid="0")
WATER = {
    "schema_name": "qcschema_molecule",
    "schema_version": 2,
    "symbols": ["O", "H", "H"],
    "geometry": [0.0, 0.0, 0.0, 0.0, 1.43, 1.1, 0.0, -1.43, 1.1],
    "connectivity": [[0, 1, 1.0], [0, 2, 1.0]],
    "molecular_charge": 0.0,
    "molecular_multiplicity": 1,
    "fix_com": True,
    "fix_orientation": True,
    "validated": True,
    "id": 5,
    "identifiers": {"molecular_formula": "H2O"},
}
_ids = itertools.count(1)


def atomic(program: str, method: str, driver: str = "energy", *, record: int = 1, **more: Any) -> dict[str, Any]:
    """The arguments of `qcengine.compute` for water."""
    given = {
        "schema_name": "qcschema_input",
        "schema_version": 1,
        "id": str(record),
        "driver": driver,
        "model": {"method": method, "basis": more.pop("basis", None)},
        "molecule": WATER,
        "keywords": {},
        "protocols": {},
        "extras": {},
    }
    return {"input_data": {**given, **more}, "program": program}


def optimization(program: str, method: str, *, record: int = 1, **more: Any) -> dict[str, Any]:
    """The arguments of `qcengine.compute_procedure` for water."""
    given = {
        "schema_name": "qcschema_optimization_input",
        "schema_version": 1,
        "id": str(record),
        "input_specification": {
            "schema_name": "qcschema_input",
            "schema_version": 1,
            "driver": "gradient",
            "model": {"method": method, "basis": None},
            "keywords": more.pop("qc_keywords", {}),
        },
        "initial_molecule": WATER,
        "keywords": {"program": program, **more.pop("keywords", {})},
        "protocols": {},
        "extras": {},
    }
    return {"input_data": {**given, **more}, "procedure": "geometric"}


def task(kwargs: dict[str, Any], function: str | None = None) -> Task:
    """A task with an id of its own."""
    if function is None:
        function = "qcengine.compute" if "program" in kwargs else "qcengine.compute_procedure"
    number = next(_ids)
    return Task(id=number, record_id=1, function=function, kwargs=compress(kwargs), claimed_as=NAME)


def trouble(method: str, **keywords: Any) -> Task:
    """A task that does what the plugin `trouble` knows by this name."""
    return task(atomic("trouble", method, keywords=keywords))


class Pool:
    """A pool and what it has reported."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.reports: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self.pool = WarmPool(self.reports.put, folder, **{"slots": 1, **options})

    def finished(self, timeout: float = 60) -> Finished:
        """The next report."""
        return self.reports.get(timeout=timeout)

    def run(self, *tasks: Task) -> dict[int, Finished]:
        """Reports by task id, once all have come."""
        for each in tasks:
            self.pool.submit(each)
        return {report.task_id: report for report in (self.finished() for _ in tasks)}

    def failure(self, given: Task) -> tuple[str, str, dict[str, Any]]:
        """Error type, message and printed streams of a task that has to fail."""
        (report,) = self.run(given).values()
        assert not report.success
        return failure_of(report)


def failure_of(report: Finished) -> tuple[str, str, dict[str, Any]]:
    """Error type, message and printed streams, as the server reads them."""
    packed = unpacked(report)
    failed = returned.failure(packed)
    assert failed is not None
    assert failed.error is not None
    outputs = {name: decompress(data) for name, (_, data) in returned.failure_outputs(failed).items()}
    return failed.error.error_type, failed.error.error_message, outputs


def unpacked(report: Finished) -> bytes:
    """The MessagePack inside a returned result."""
    return decompress_bytes(report.result, "zstd", 1 << 30)


def eventually(condition: Callable[[], Any], timeout: float = 30, every: float = 0.01) -> Any:
    """The first true value of the condition; fails when the time is over."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(every)
    return value


PoolMaker = Callable[..., AbstractContextManager[Pool]]
"""Starts a pool with options of `WarmPool`."""
