"""What the server says about itself, against the model: over HTTP, and in the database where no request shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg

from qchive.db.pool import Database
from qchive.server import losing
from tests.factories import Http, Manager
from tests.life.climbing import Climbing
from tests.life.model import Operation, Record
from tests.life.working import MOST_LOSSES

RECORDS = """
    SELECT r.id, r.status::text, r.stack::text[], r.tag, r.priority, w.name, r.attempt_no, r.operation_id,
        r.claimed_at IS NOT NULL, EXISTS (SELECT FROM result WHERE record_id = r.id),
        r.modified_on, r.created_on, r.sort_time
    FROM record r LEFT JOIN worker w ON w.id = r.worker_id
    WHERE r.id = ANY(%s) ORDER BY r.id
"""
ATTEMPTS = """
    SELECT a.record_id, a.attempt_no, a.outcome, w.name
    FROM attempt a LEFT JOIN worker w ON w.id = a.worker_id
    WHERE a.record_id = ANY(%s) AND a.outcome <> 'running' ORDER BY 1, 2
"""
MOVES = """
    SELECT operation_id, record_id, source::text, target::text, tag, priority
    FROM move WHERE operation_id >= %s ORDER BY 1, 2
"""
OPERATIONS = """
    SELECT id, action, changed, relatives, refused, undoes, expected, state FROM operation WHERE id >= %s ORDER BY id
"""


# What must not exist whenever nobody is at work.
FORBIDDEN = {
    "a flow that could go on, and is not marked": """
        SELECT r.id FROM flow f JOIN record r ON r.id = f.record_id
        WHERE NOT f.ready AND r.status IN ('waiting', 'running') AND (r.status = 'waiting' OR NOT EXISTS (
            SELECT FROM record_child c JOIN record x ON x.id = c.child_id
            WHERE c.parent_id = r.id AND c.batch = f.batch AND x.status IN ('waiting', 'running')
        ))
    """,
    "an open attempt of what does not run": """
        SELECT r.id FROM attempt a JOIN record r ON r.id = a.record_id
        WHERE a.outcome = 'running' AND (r.status <> 'running' OR a.attempt_no <> r.attempt_no)
    """,
    "a composite record that runs without an attempt": """
        SELECT r.id FROM flow f JOIN record r ON r.id = f.record_id
        WHERE r.status = 'running' AND NOT EXISTS (
            SELECT FROM attempt a WHERE a.record_id = r.id AND a.attempt_no = r.attempt_no AND a.outcome = 'running'
        )
    """,
    "a flow of what is complete, or none of what is not": """
        SELECT r.id FROM record r LEFT JOIN flow f ON f.record_id = r.id
        WHERE r.kind IN ('stairs', 'towers') AND (coalesce(r.stack[1], r.status) = 'complete') = (f.id IS NOT NULL)
    """,
    "a child beyond the batch that is open": """
        SELECT c.parent_id FROM flow f JOIN record_child c ON c.parent_id = f.record_id AND c.batch > f.batch
    """,
}


class Seeing:
    """The comparison."""

    def __init__(self, api: Http, conn: psycopg.Connection[Any]) -> None:
        self.api, self.conn = api, conn
        self.model = Climbing()
        self.known: list[int] = []
        self.managers: list[Manager] = []
        self.times: dict[int, tuple[Any, ...]] = {}
        ((self.first, *_),) = self._rows("SELECT coalesce(max(id), 0) + 1 FROM operation")
        self.last = self.first - 1

    def _rows(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        return self.conn.execute(statement.encode(), params).fetchall()

    def appear(self, i: int, kind: str, tag: str, priority: int, content: Any) -> None:
        assert i not in self.known
        self.model.records[i] = Record(i, kind, tag, priority, self.model.now, content, place=i)
        self.model.records[i].moved = self.model.now
        self.known.append(i)

    def steps(self, parent: int) -> list[int]:
        """The children that came with a result."""
        query = "SELECT child_id FROM record_child WHERE parent_id = %s AND role = 'trajectory' ORDER BY position"
        ids = [i for (i,) in self._rows(query, parent)]
        assert len(ids) == 2
        self.known += ids
        return ids

    def lose(self, manager: Manager) -> None:
        """What upkeep does with a manager that is not heard of any more."""

        async def lose() -> None:
            db = Database(self.conn.info.dsn, size=1)
            await db.open()
            try:
                await db.run(lambda conn: losing.lose(conn, [manager.id], MOST_LOSSES))
            finally:
                await db.close()

        asyncio.run(lose())

    def new_operation(self) -> int:
        """The id of the one operation that the last request left behind."""
        ((found,),) = self._rows("SELECT id FROM operation WHERE id > %s", self.last)
        self.last = found
        return int(found)

    def answered(self, answer: dict[str, Any], ids: Sequence[int], changed: set[int], before: dict[int, str]) -> None:
        """The metadata of a request: positions, reasons, and how many others changed."""
        idx, others = ("deleted_idx", "n_children_deleted")
        if "updated_idx" in answer:
            idx, others = ("updated_idx", "n_children_updated")
        assert answer["error_description"] is None
        assert answer[idx] == [n for n, i in enumerate(ids) if i in changed]
        assert answer[others] == len(changed - set(ids))
        told = dict(answer["errors"])
        assert list(told) == [n for n, i in enumerate(ids) if i not in changed]
        for n, text in told.items():
            assert text.startswith(f"Record {ids[n]} is {before[ids[n]]}" if ids[n] in before else f"Record {ids[n]} d")

    def looked_at(self, op: Operation) -> None:
        """An operation and its moves as requests show them."""
        seen = self.api.get(f"operations/{op.id}")
        names = ("action", "changed", "relatives", "refused", "undoes", "expected")
        assert {n: seen[n] for n in names} == {n: getattr(op, n) for n in names}
        moves = self.api.post(f"operations/{op.id}/moves", {})
        assert [tuple(m[k] for k in ("record_id", "source", "target", "tag", "priority")) for m in moves] == [
            m.shown for m in sorted(op.moves, key=lambda m: m.record)
        ]

    def compare(self) -> None:
        """All records, attempts, moves, operations and managers; of what has just changed, the history."""
        for what, query in FORBIDDEN.items():
            assert self._rows(query) == [], what
        self._compare_records()
        self._compare_attempts()
        operations = self.model.operations.values()
        assert self._rows(MOVES, self.first) == [
            (op.id, *m.shown) for op in operations for m in sorted(op.moves, key=lambda m: m.record)
        ]
        assert self._rows(OPERATIONS, self.first) == [
            (o.id, o.action, o.changed, o.relatives, o.refused, o.undoes, o.expected, "complete") for o in operations
        ]
        names = ("claimed", "successes", "failures", "rejected")
        query = f"SELECT name, {', '.join(names)} FROM worker WHERE name = ANY(%s) ORDER BY name"
        told = self._rows(query, [m.name for m in self.managers])
        assert told == [(m, *(self.model.counts[m][n] for n in names)) for m, *_ in told]
        moved = [i for i in self.known if self._just_changed(i)]
        for i in moved[:3]:
            self._compare_history(i)
        self._compare_answers(moved)

    def _compare_records(self) -> None:
        seen = self._rows(RECORDS, self.known)
        records = [r for _, r in sorted(self.model.records.items())]
        assert [row[:5] for row in seen] == [(r.id, r.status, r.stack, r.tag, r.priority) for r in records]
        assert [row[5:10] for row in seen] == [
            (r.manager, r.latest, r.operation, r.status == "running", r.has_result) for r in records
        ]
        for row in seen:
            (i, *_), (modified, *kept) = row, row[10:]
            before, *kept_before = self.times.get(i, (None, *kept))
            assert kept == kept_before, "neither its age nor its place in the queue ever changes"
            assert (modified != before) is (self.model.records[i].moved == self.model.now), "modified with its status"
            self.times[i] = row[10:]

    def _compare_attempts(self) -> None:
        assert self._rows(ATTEMPTS, self.known) == [
            (i, no, a.outcome, a.manager)
            for i, r in sorted(self.model.records.items())
            for no, a in sorted(r.attempts.items())
            if a.outcome != "running"
        ]

    def _just_changed(self, i: int) -> bool:
        now, record = self.model.now, self.model.records.get(i)
        last = max(self.model.operations, default=0)
        ops = [self.model.operations[last]] if last else []
        return (record is not None and record.moved == now) or any(
            m.record == i and m.when == now for op in ops for m in op.moves
        )

    def _compare_answers(self, ids: Sequence[int]) -> None:
        body = {"ids": list(ids), "include": ["status", "manager_name", "task"], "missing_ok": True}
        for i, seen in zip(ids, self.api.post("records/bulkGet", body), strict=True):
            record = self.model.records.get(i)
            if record is None:
                assert seen is None
                continue
            assert (seen["status"], seen["manager_name"]) == (record.status, record.manager)
            has_task = record.status in ("waiting", "running", "error") and not record.composite
            assert (seen["task"] is not None) is has_task
            if has_task:
                assert (seen["task"]["tag"], seen["task"]["priority"]) == (record.tag, record.priority)

    def _compare_history(self, i: int) -> None:
        """One list of all that happened to a record, in the order in which it did."""
        expected: list[tuple[int, tuple[Any, ...]]] = []
        record = self.model.records.get(i)
        if record is not None:
            expected.append((record.born, ("created",)))
            expected += [
                (a.when, ("attempt", no, a.outcome, a.manager, a.error)) for no, a in sorted(record.attempts.items())
            ]
        expected += [
            (m.when, ("move", op.id, op.action, *m.shown[1:], *op.replaced_by(m)))
            for op in self.model.operations.values()
            for m in op.moves
            if m.record == i
        ]
        expected += [(when, ("comment", text)) for when, text in record.comments] if record else []
        expected.sort(key=lambda event: event[0])
        fields = {
            "created": (),
            "attempt": ("attempt_no", "outcome", "manager_name", "error_type"),
            "move": ("operation_id", "action", "source", "target", "tag", "priority", "new_tag", "new_priority"),
            "comment": ("comment",),
        }
        seen = self.api.get(f"records/{i}/history")
        assert [(e["event"], *(e.get(f) for f in fields[e["event"]])) for e in seen] == [e for _, e in expected]
