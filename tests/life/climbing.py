"""What upkeep does with composite records, in the model: stairs of two steps, and towers of two such stairs.

Which record a child is, the server says; what it must be, and when there has to be one, is said here.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.life.model import Attempt, Record
from tests.life.working import RANKS, Working

FAILED = "service_iteration_error"
OPEN = ("waiting", "running")
LIVING = (*OPEN, "complete", "error")

Children = Callable[[int, int], list[int]]
"""The children that a record has by now, by its id and the number of a batch."""


def batches(content: tuple[object, ...]) -> list[list[tuple[object, ...]]]:
    """The computations that a composite one consists of: batches of what does not wait for each other."""
    kind, number, *wing = content
    if kind == "towers":
        return [[("stairs", number, "0east"), ("stairs", number, "0west")]]
    return [[("step", number, *wing, n)] for n in range(2)]


class Climbing(Working):
    """The model with those who take composite records on."""

    def tick(self, children: Children) -> None:
        """Take on what can go on until nothing can, in the order in which the server does."""
        while ready := self._ready():
            for record in ready:
                if record.status in OPEN:
                    self._advance(record, children)

    def at_rest(self) -> bool:
        """Whether there is nothing to be taken on."""
        return not self._ready()

    def _ready(self) -> list[Record]:
        composite = [r for r in self.records.values() if r.composite and r.status in OPEN]
        ready = [r for r in composite if r.status == "waiting" or not self._waits(r)]
        return sorted(ready, key=lambda r: (-r.priority, r.place, r.id))

    def _waits(self, record: Record) -> bool:
        return any(self.records[i].status in OPEN for i in (record.asked or [[]])[-1])

    def _advance(self, record: Record, children: Children) -> None:
        starts = record.status == "waiting"
        if starts:
            record.attempts[record.latest + 1] = Attempt("running", None, self.now)
            self._turn(record, "running", None)
        if self._waits(record):
            return
        statuses = {self.records[i].status for batch in record.asked for i in batch}
        if starts and statuses - set(LIVING):
            # What it was built on is gone: it starts from the beginning.
            for i in {i for batch in record.asked for i in batch}:
                self.links.remove((record.id, i))
            record.asked.clear()
        elif statuses - {"complete"}:
            self._finish(record, "error", FAILED)
            return
        wanted = batches(record.content)
        if len(record.asked) == len(wanted):
            self._finish(record, "complete")
        else:
            self._ask(record, wanted[len(record.asked)], children)

    def _finish(self, record: Record, outcome: str, error: str | None = None) -> None:
        record.attempts[record.latest] = Attempt(outcome, None, self.now, error)
        record.losses, record.has_result = 0, record.has_result or outcome == "complete"
        self._turn(record, outcome, None)

    def _ask(self, record: Record, wanted: list[tuple[object, ...]], children: Children) -> None:
        given = children(record.id, len(record.asked) + 1)
        assert len(given) == len(wanted), "a child for each request, as soon as it can be asked for"
        for content, i in zip(wanted, given, strict=True):
            equal = [r for r in self.records.values() if r.content == content and r.status in LIVING]
            best = min(equal, key=lambda r: (RANKS.index(r.status), r.id), default=None)
            if i not in self.records:
                assert best is None or not record.find_existing, "it would have been found"
                kind = "singlepoint" if content[0] == "step" else str(content[0])
                made = Record(i, kind, record.tag, record.priority, self.now, content, place=record.place)
                made.moved, made.find_existing = self.now, record.find_existing
                self.records[i] = made
            elif record.find_existing:
                assert best is not None, "it is not living"
                assert i == best.id, "the one that was found"
            else:
                assert self.records[i].content == content, "its own of before"
            self.links.append((record.id, i))
        record.asked.append(given)
        record.has_result, record.moved = True, self.now
