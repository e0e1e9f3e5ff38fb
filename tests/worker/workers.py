"""Workers to be watched at their work, and a person with an archive."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from qchive.worker.loop import Worker
from qchive.worker.settings import WorkerSettings
from tests.worker.worker_tasks import PLUGIN, WATER, eventually

ROOT = Path(__file__).parents[2]


def settings(address: str, folder: Path, **more: Any) -> WorkerSettings:
    given = {"workers": 1, "memory_per_worker": 2.0, "plugins": [PLUGIN], "poll": 0.1, "poll_longest": 0.2}
    return WorkerSettings(
        address=address, spool=str(folder / "spool"), scratch=str(folder / "scratch"), **{**given, **more}
    )


@contextlib.contextmanager
def working(given: WorkerSettings) -> Iterator[Worker]:
    """A worker in a thread of this process."""
    worker = Worker(given)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            worker.run()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()
    if problems:
        raise problems[0]


@contextlib.contextmanager
def process(given: WorkerSettings) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a process of its own, as `qchive worker` starts it."""
    code = (
        "import sys, logging, msgspec; from qchive.worker.loop import run\n"
        "from qchive.worker.settings import WorkerSettings\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "sys.exit(run(msgspec.json.decode(sys.argv[1], type=WorkerSettings)))\n"
    )
    started = subprocess.Popen([sys.executable, "-c", code, msgspec.json.encode(given).decode()], cwd=ROOT)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


class Records:
    """What a person does with an archive, in plain HTTP."""

    def __init__(self, address: str, tag: str = "*") -> None:
        self._tag = tag
        self._http = httpx.Client(base_url=address, timeout=30)

    def close(self) -> None:
        self._http.close()

    def singlepoint(self, program: str, method: str, **keywords: Any) -> int:
        specification = {
            "program": program,
            "driver": "energy",
            "method": method,
            "basis": None,
            "keywords": keywords,
        }
        return self._add("singlepoint", {"molecules": [WATER], "specification": specification})

    def optimization(self, program: str, method: str) -> int:
        inner = {"program": program, "method": method, "basis": None}
        specification = {"program": "geometric", "qc_specification": inner}
        return self._add("optimization", {"initial_molecules": [WATER], "specification": specification})

    def _add(self, kind: str, body: dict[str, Any]) -> int:
        queue = {"compute_tag": self._tag, "compute_priority": "normal", "find_existing": False}
        answer = self._http.post(f"/api/v1/records/{kind}/bulkCreate", json={**body, **queue})
        assert answer.status_code == 200, answer.text
        (record,) = answer.json()[1]
        return int(record)

    def get(self, record: int, **query: Any) -> dict[str, Any]:
        answer = self._http.get(f"/api/v1/records/{record}", params=query)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def status(self, record: int) -> str:
        return str(self.get(record)["status"])

    def ended(self, *records: int) -> list[str]:
        """Their statuses once none waits or runs any more."""
        found: list[str] = eventually(lambda: self._ended(records), timeout=90, every=0.05)
        return found

    def _ended(self, records: tuple[int, ...]) -> list[str]:
        statuses = [self.status(record) for record in records]
        return [] if {"waiting", "running"} & set(statuses) else statuses

    def error(self, record: int) -> tuple[str, str]:
        url = f"/api/v1/records/{self.get(record)['record_type']}/{record}/compute_history"
        last = self._http.get(url).json()[-1]
        found = self._http.get(f"{url}/{last['id']}/outputs/error/uncompressed_data").json()
        return found["error_type"], found["error_message"]

    def cancel(self, record: int) -> None:
        self._http.patch("/api/v1/records", json={"record_ids": [record], "status": "cancelled"}).raise_for_status()

    def managers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._http.post("/api/v1/managers/query", json={}).json()
        return found
