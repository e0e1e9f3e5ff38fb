"""One figure: what was measured, on whom, how often, what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from benchmarks.accounting import Cost
from benchmarks.servers import Server

MEDIAN, LATE = (f"next task after a batch's last result, {which}" for which in ("median", "95 %"))


class Figure(msgspec.Struct):
    """What `n` operations cost: seconds of wall and CPU, statements and buffers of the database."""

    measure: str
    side: str
    n: int
    wall: float
    server: float = 0.0
    postgres: float = 0.0
    client: float = 0.0
    statements: int | None = None
    buffers: int | None = None

    @property
    def cpu(self) -> float:
        """CPU milliseconds of the whole server side, per operation."""
        return 1e3 * (self.server + self.postgres) / self.n

    @property
    def wall_ms(self) -> float:
        """Milliseconds that the client waited, per operation."""
        return 1e3 * self.wall / self.n


def figure(measure: str, side: str, n: int, cost: Cost) -> Figure:
    """The figure that a clock shows."""
    return Figure(measure, side, n, cost.wall, cost.server, cost.postgres, cost.client)


@contextmanager
def measured(measure: str, server: Server, n: int, into: list[Figure]) -> Iterator[Cost]:
    """Put into a list what the caller times with the clock it is given."""
    before = server.statements()
    cost = server.cost()
    yield cost
    shown = figure(measure, server.name, n, cost)
    after = server.statements()
    shown.statements, shown.buffers = after.calls - before.calls, after.buffers - before.buffers
    into.append(shown)


def check(holds: bool, message: str) -> None:
    """Refuse to count an operation that did not do what it should.

    Raises:
        AssertionError: it did not.
    """
    if not holds:
        raise AssertionError(message)
