"""What managers do to records, in the model: claims, results, losses (`record-lifecycle`, and never losing work)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from tests.life.model import Attempt, Model, Record

NO_TASK = "Task does not exist in the task queue"
NOT_RUNNING = "Task is not in a running state"
ANOTHER = "Task is claimed by another manager"
MOST_LOSSES = 5
RANKS = ("complete", "running", "waiting", "error", "cancelled", "invalid", "deleted")
"""Which of several equal records is found first."""

Task = tuple[int, int]
"""A record and the number of one of its attempts."""


class Working(Model):
    """The model with the managers that work for it."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    def find(self, content: object) -> Record | None:
        """The record of this computation that would be returned instead of a new one."""
        equal = [r for r in self.records.values() if r.content == content]
        return min(equal, key=lambda r: (RANKS.index(r.status), r.id), default=None)

    def claim(self, manager: str, tags: Sequence[str], limit: int) -> list[Task]:
        """The best waiting records: tags in their order, then priority, then age."""
        waiting = [r for r in self.records.values() if r.status == "waiting" and r.tag in tags]
        waiting = [r for r in waiting if not r.composite]
        waiting.sort(key=lambda r: (tags.index(r.tag), -r.priority, r.place, r.id))
        for record in waiting[:limit]:
            record.attempts[record.latest + 1] = Attempt("running", manager, self.now)
            self._turn(record, "running", manager)
        self.counts[manager]["claimed"] += len(waiting[:limit])
        return [(r.id, r.latest) for r in waiting[:limit]]

    def _turn(self, record: Record, status: str, manager: str | None) -> None:
        record.status, record.manager, record.moved = status, manager, self.now

    def give(self, manager: str, results: dict[Task, str]) -> tuple[list[Task], dict[Task, str | None]]:
        """What is accepted, and what not and why; a result is a `success`, a `failure` or `garbage`.

        Why garbage itself is refused is said in words of the server; here that is None.
        """
        accepted: list[Task] = []
        rejected: dict[Task, str | None] = {}
        for task, result in sorted(results.items(), key=lambda item: item[1] != "success"):
            reason = self._judge(manager, task, success=result == "success")
            if reason == "take":
                self._end(manager, task, result)
            if reason in ("take", "again") and result != "garbage":
                accepted.append(task)
                self.counts[manager]["successes" if result == "success" else "failures"] += 1
            else:
                rejected[task] = None if reason in ("take", "again") else reason
                self.counts[manager]["rejected"] += 1
        return accepted, rejected

    def _judge(self, manager: str, task: Task, *, success: bool) -> str:
        record = self.records.get(task[0])
        attempt = record.attempts.get(task[1]) if record else None
        if record is None or attempt is None:
            return NO_TASK
        mine = attempt.manager == manager
        if attempt.outcome in ("complete", "error"):
            return "again" if mine else NO_TASK
        if attempt.outcome == "running":
            return "take" if mine else ANOTHER
        if not mine:
            return ANOTHER
        if record.status not in ("waiting", "running", "error"):
            return NO_TASK
        if success or (record.status == "waiting" and task[1] == record.latest):
            return "take"
        return ANOTHER if record.status == "running" else NOT_RUNNING

    def _end(self, manager: str, task: Task, result: str) -> None:
        record = self.records[task[0]]
        latest = record.attempts[record.latest]
        if record.status == "running" and record.latest != task[1]:
            record.attempts[record.latest] = Attempt("superseded", latest.manager, self.now)
        done, error = {
            "success": ("complete", None),
            "failure": ("error", "convergence_error"),
            "garbage": ("error", "result_refused"),
        }[result]
        record.attempts[task[1]] = Attempt(done, manager, self.now, error)
        record.losses = 0
        record.has_result |= done == "complete"
        self._turn(record, done, manager)

    def born(self, parent: int, ids: Sequence[int]) -> None:
        """Records that came with a parent's result."""
        for i in ids:
            self.records[i] = Record(i, "singlepoint", "*", 1, self.now, status="complete", has_result=True)
            self.records[i].attempts[0] = Attempt("complete", None, self.now)
            self.records[i].moved = self.now
            self.links.append((parent, i))

    def leave(self, manager: str, *, lost: bool) -> None:
        """A manager is gone: what it ran waits again, unless it was lost too often."""
        for record in self.records.values():
            if record.status != "running" or record.manager != manager:
                continue
            record.attempts[record.latest] = Attempt("lost" if lost else "stopped", manager, self.now)
            record.losses += lost
            if record.losses >= MOST_LOSSES and lost:
                record.losses -= lost
                record.attempts[record.latest + 1] = Attempt("error", None, self.now, "lost")
                self._turn(record, "error", None)
            else:
                self._turn(record, "waiting", None)

    def unwanted(self, manager: str, tasks: Sequence[Task]) -> set[Task]:
        """Of what a manager says it runs, that which it should stop."""
        return {
            t
            for t in tasks
            if t[0] not in self.records
            or (r := self.records[t[0]]).status != "running"
            or r.latest != t[1]
            or r.manager != manager
        }
