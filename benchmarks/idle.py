"""What is paid without doing anything: memory of an archive that waits, CPU of saying hello."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.accounting import cpu_seconds, proportional_memory, tree, wait_until_quiet
from benchmarks.measure import check
from benchmarks.servers import Server

MEMORY = 250.0
"""MB that an archive without a worker may take."""
START = 0.3
"""Seconds of CPU that a command's help and the import may take."""
_HELLO = {"qchive --help": ["-m", "qchive.cli", "--help"], "import qchive": ["-c", "import qchive"]}


def idle(peer: Server) -> list[dict[str, Any]]:
    """Each with what it is, how much, the unit, the peer's amount and what is aimed at."""
    peers = proportional_memory([*peer.processes, peer.postgres]) / 1e6
    rows = [
        {"what": "memory of `qchive up` without a worker", "amount": _up(), "unit": "MB", "peer": peers, "aim": MEMORY}
    ]
    for what, argv in _HELLO.items():
        rows.append({"what": f"CPU of `{what}`", "amount": _cpu(argv), "unit": "s", "peer": None, "aim": START})
    return rows


def _up() -> float:
    folder = Path(tempfile.mkdtemp(prefix="qchive-bench-"))
    folder.chmod(0o755)
    argv = [sys.executable, "-m", "qchive.cli", "up", "--workers", "0", "--port", "0", "--data", str(folder)]
    with (folder / "up.txt").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while "is up" not in (folder / "up.txt").read_text():
                check(process.poll() is None and time.monotonic() < deadline, (folder / "up.txt").read_text())
                time.sleep(0.1)
            wait_until_quiet(lambda: cpu_seconds([process.pid]))
            check(len(tree([process.pid])) > 3, "an archive is several processes")
            return proportional_memory([process.pid]) / 1e6
        finally:
            process.terminate()
            process.wait(60)


def _cpu(argv: list[str]) -> float:
    """The least of five runs."""
    return min(_cpu_once(argv) for _ in range(5))


def _cpu_once(argv: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # As installed: with its bytecode beside it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *argv], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
