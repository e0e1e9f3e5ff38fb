"""`qchive up` as a user starts it, and the processes below it, to be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


class Up:
    """A running `qchive up`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def child(self, name: str, patience: float = 30.0) -> psutil.Process:
        """One of its processes, once it is there: `server`, `upkeep`, `worker`, `postgres`."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for process in psutil.Process(self.process.pid).children():
                with suppress(psutil.NoSuchProcess):
                    line = process.cmdline()
                    if name in line[3:4] or (name == "postgres" and line and Path(line[0]).name == "postgres"):
                        return process
        raise LookupError(name)

    def kill(self, name: str) -> None:
        """Kill -9 one of them, and see it dead."""
        victim = self.child(name)
        victim.kill()
        psutil.wait_procs([victim], timeout=30)

    def end(self) -> int:
        """What Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextmanager
def archive_up(data: Path, *options: str) -> Iterator[Up]:
    """`qchive up` on a data folder, on a free port, while the context lasts."""
    argv = [sys.executable, "-m", "qchive.cli", "up", "--data", str(data), "--port", "0", *options]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                break
        else:
            raise AssertionError(f"qchive up ended with {process.wait()}:\n{said}")
        yield Up(process, found.group())
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        process.stdout.close()
