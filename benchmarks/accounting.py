"""What processes cost, from the operating system's accounting: CPU of whole trees, memory counted once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

TICK = 1 / os.sysconf("SC_CLK_TCK")
STILL = 0.25
"""Seconds without CPU after which a tree counts as quiet."""
PATIENCE = 15.0


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of these processes and all below them, the ended ones as their parents reaped them."""
    return sum(map(_cpu_of, tree(roots)))


def _cpu_of(pid: int) -> float:
    """To the nanosecond where the kernel tells, for threads that still run; to the tick for all else."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own, reaped = (sum(map(int, fields[i : i + 2])) * TICK for i in (11, 13))
        threads = [Path(f"/proc/{pid}/task/{task}/schedstat").read_text() for task in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has just ended: its parent has its time
    return max(own, sum(int(text.split()[0]) for text in threads) * 1e-9) + reaped


def tree(roots: Iterable[int]) -> list[int]:
    """These processes and all their descendants."""
    found: list[int] = []
    todo = list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                todo += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def proportional_memory(roots: Iterable[int]) -> int:
    """Bytes of memory of these trees, with shared pages divided among those who share them."""
    total = 0
    for pid in tree(roots):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def wait_until_quiet(cpu: Callable[[], float]) -> None:
    """Wait until nothing has been computed for a while, so that work left for later is counted too."""
    deadline = time.monotonic() + PATIENCE
    before, since = cpu(), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < STILL:
        time.sleep(0.05)
        now = cpu()
        if now - before > 1.5 * TICK:
            before, since = now, time.monotonic()


class Cost:
    """Adds up what `with` blocks cost: seconds for the one who waits, CPU seconds of server, PostgreSQL and client."""

    def __init__(self, server: Iterable[int], postgres: Iterable[int]) -> None:
        self._server, self._postgres = list(server), list(postgres)
        self.wall = self.server = self.postgres = self.client = 0.0

    def __enter__(self) -> Self:
        self._before = self._now()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall += time.perf_counter() - self._started
        self.client += time.process_time() - self._before[2]
        wait_until_quiet(lambda: sum(self._now()[:2]))
        after = self._now()
        self.server += after[0] - self._before[0]
        self.postgres += after[1] - self._before[1]

    def _now(self) -> tuple[float, float, float]:
        return cpu_seconds(self._server), cpu_seconds(self._postgres), time.process_time()
