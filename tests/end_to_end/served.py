"""`qchive server` as an administrator starts it, and the processes below it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.factories import until


class Served:
    """A running `qchive server`."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    @property
    def address(self) -> str:
        found = re.search(r"answers at (\S+)", self.said)
        return found[1] if found else ""

    @property
    def said(self) -> str:
        return self.output.read_text()

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        return [one for one in psutil.Process(self.process.pid).children() if one.is_running()]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def served(
    database: str | None, output: Path, *options: str, env: Mapping[str, str] | None = None, verify: bool = True
) -> Iterator[Served]:
    """Such a server on a free port, from when it answers, while the context lasts. Without `database`, `env` is all of
    its environment."""
    argv = [sys.executable, "-m", "qchive.cli", "server", "--port", "0", *options]
    environment = (
        dict(env or {}) if database is None else {**os.environ, "QCHIVE_DATABASE_URL": database, **(env or {})}
    )
    with output.open("a") as log:
        process = subprocess.Popen(argv, stderr=log, stdout=log, env=environment)
    found = Served(process, output)
    try:
        until(lambda: _answers(found, verify), 60)
        yield found
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _answers(found: Served, verify: bool) -> bool:
    assert found.process.poll() is None, found.said
    try:
        return bool(found.address) and httpx.get(f"{found.address}/api/v1/ping", verify=verify).status_code < 500
    except httpx.TransportError:
        return False
