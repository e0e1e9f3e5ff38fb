"""The life of records in plain dictionaries, written from the protocol's state machine and our improvements on it.

It calls nothing of `qchive` and reads none of its tables: a wrong row there has to be seen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

TOP = "the status on top of the stack"
UNFINISHED = {"waiting", "running", "error"}

# What becomes of a record by its status, and what is put on its stack.
STEPS: dict[str, dict[str, tuple[str, str | None]]] = {
    "reset": {"error": ("waiting", None)},
    "cancel": {
        "waiting": ("cancelled", "waiting"),
        "running": ("cancelled", "waiting"),
        "error": ("cancelled", "error"),
    },
    "uncancel": {"cancelled": (TOP, None)},
    "invalidate": {"complete": ("invalid", "complete")},
    "uninvalidate": {"invalid": (TOP, None)},
    "delete": {
        "waiting": ("deleted", "waiting"),
        "running": ("deleted", "waiting"),
        "error": ("deleted", "error"),
        "complete": ("deleted", "complete"),
        "cancelled": ("deleted", "cancelled"),
        "invalid": ("deleted", "invalid"),
    },
    "undelete": {"deleted": (TOP, None)},
}
STEPS["delete_alone"] = STEPS["delete"]
# Ancestors of what turns out to be wrong: those that are complete are wrong too, those at work must stop.
STEPS_OF_RELATIVES = STEPS | {"invalidate": STEPS["invalidate"] | STEPS["cancel"]}

UP = {"cancel", "delete", "delete_alone", "invalidate"}
DOWN = {"cancel", "delete", "reset", "uncancel", "uninvalidate", "undelete", "modify"}
COMPOSITE = ("stairs", "towers")
STATUSES = ("waiting", "running", "error", "complete", "cancelled", "invalid", "deleted")
# Which statuses an action by filter looks for.
LOOKED_FOR: dict[str, set[str]] = {name: set(steps) for name, steps in STEPS.items()} | {
    "modify": {"waiting", "running", "error", "cancelled", "deleted"},
    "comment": set(STATUSES),
    "purge": {"deleted"},
}
# How an operation is taken back.
KINDS = {
    **dict.fromkeys(("cancel", "delete", "delete_alone", "invalidate"), "pushed"),
    **dict.fromkeys(("uncancel", "undelete", "uninvalidate"), "popped"),
    "reset": "restarted",
    "modify": "requeued",
}
OPPOSITE = {"pushed": "popped", "popped": "pushed", "restarted": "restarted", "requeued": "requeued"}


@dataclass
class Attempt:
    """One try; `running` until it ends."""

    outcome: str
    manager: str | None
    when: int
    error: str | None = None


@dataclass
class Record:
    """Everything about a record that an action, a claim or a result may change."""

    id: int
    kind: str
    tag: str
    priority: int
    born: int
    content: Any = None
    """What is computed: equal for records that `find_existing` takes for the same."""
    status: str = "waiting"
    stack: list[str] = field(default_factory=list)
    manager: str | None = None
    attempts: dict[int, Attempt] = field(default_factory=dict)
    losses: int = 0
    operation: int | None = None
    comments: list[tuple[int, str]] = field(default_factory=list)
    has_result: bool = False
    moved: int = 0
    """The step at which its status changed last, or it asked for children."""
    find_existing: bool = True
    place: int = 0
    """Whose place in the queue it has: its own, or that of the record it was made for."""
    asked: list[list[int]] = field(default_factory=list)
    """The children that a composite record asked for, batch by batch."""

    @property
    def composite(self) -> bool:
        return self.kind in COMPOSITE

    @property
    def latest(self) -> int:
        return max(self.attempts, default=0)

    @property
    def unfinished(self) -> bool:
        return (self.stack[0] if self.stack else self.status) in UNFINISHED


@dataclass
class Move:
    """What an operation did to one record."""

    record: int
    when: int
    source: str
    target: str | None
    tag: str | None = None
    priority: int | None = None
    manager: str | None = None
    """Who had failed, where a restart forgets it."""
    before: int | None = None
    after: int | None = None
    """The operation that counted as the record's last one, before and after: taking back steps back."""

    @property
    def shown(self) -> tuple[Any, ...]:
        return self.record, self.source, self.target, self.tag, self.priority


@dataclass
class Operation:
    """What a request did."""

    id: int
    action: str
    kind: str | None
    """How it is taken back; None: it cannot be."""
    changed: int = 0
    relatives: int = 0
    refused: int = 0
    undoes: int | None = None
    expected: int | None = None
    moves: list[Move] = field(default_factory=list)
    tag: str | None = None
    priority: int | None = None
    """The new ones that it was asked for."""

    def replaced_by(self, move: Move) -> tuple[str | None, int | None]:
        """What replaced the tag and the priority of a record, where that was said."""
        return None if move.tag is None else self.tag, None if move.priority is None else self.priority

    def count(self, asked: set[int], changed: set[int]) -> None:
        self.changed, self.relatives = len(changed & asked), len(changed - asked)
        self.refused = len(asked - changed)


class Model:
    """Records, their families, and all that was done to them."""

    def __init__(self) -> None:
        self.now = 0
        self.records: dict[int, Record] = {}
        self.links: list[tuple[int, int]] = []
        self.operations: dict[int, Operation] = {}

    # --- families ---------------------------------------------------------------------------------------------

    def parents(self, child: int) -> set[int]:
        return {p for p, c in self.links if c == child}

    def children(self, parent: int) -> set[int]:
        return {c for p, c in self.links if p == parent}

    def ancestors(self, ids: Iterable[int]) -> set[int]:
        """They and their parents, theirs, and so on."""
        return self._closed(ids, self.parents)

    def descendants(self, ids: Iterable[int]) -> set[int]:
        """They and their children, theirs, and so on."""
        return self._closed(ids, self.children)

    def _closed(self, ids: Iterable[int], step: Any) -> set[int]:
        found, new = set(ids), set(ids)
        while new:
            new = {other for i in new for other in step(i)} - found
            found |= new
        return found

    def reached(self, start: set[int], action: str) -> set[int]:
        """Whom an action reaches from those that it applies to themselves."""
        up = self.ancestors(start) if action in UP else set(start)
        if action not in DOWN:
            return up
        down = self.descendants(up)
        if action not in UP:
            return down
        # A child stays if a parent that goes on (one the action could stop, but does not reach) still needs it.
        while needed := {
            c
            for c in down - up
            if any(p not in down and self.records[p].status in STEPS[action] for p in self.parents(c))
        }:
            down -= needed
        return down

    # --- actions ----------------------------------------------------------------------------------------------

    def act(
        self,
        action: str,
        ids: Sequence[int],
        operation: int,
        *,
        tag: str | None = None,
        priority: int | None = None,
        comment: str | None = None,
    ) -> tuple[set[int], Operation]:
        """Do something to records: all that changed, and the operation that says so."""
        asked = set(ids)
        there = {i for i in asked if i in self.records}
        requeue = tag is not None or priority is not None
        op = self._begin(operation, action)
        op.tag, op.priority = tag, priority
        if action == "comment":
            changed = there
        elif action == "modify":
            start = {i for i in there if self.records[i].status in LOOKED_FOR[action]}
            changed = {i for i in self.reached(start, action) if self.records[i].unfinished}
            for i in sorted(changed):
                self._requeue(op, self.records[i], tag, priority)
        else:
            start = {i for i in there if self.records[i].status in STEPS[action]}
            if requeue:
                start = {i for i in start if self.records[i].unfinished}
            changed = self._spread(op, start, action, tag, priority)
        for i in sorted(changed & asked) if comment else ():
            self.records[i].comments.append((self.now, comment or ""))
        op.count(asked, changed)
        return changed, op

    def _begin(self, operation: int, action: str) -> Operation:
        self.operations[operation] = op = Operation(operation, action, KINDS.get(action))
        return op

    def _spread(self, op: Operation, start: set[int], action: str, tag: str | None, priority: int | None) -> set[int]:
        changed = set()
        for i in sorted(self.reached(start, action)):
            record, own = self.records[i], i in start
            step = (STEPS if own else STEPS_OF_RELATIVES)[action].get(record.status)
            if step is not None:
                target, pushed = step
                move = self._step(op, record, target, pushed, clear=action == "reset")
                if own:
                    self._retag(record, move, tag, priority)
                changed.add(i)
        return changed

    def _step(self, op: Operation, record: Record, target: str, pushed: str | None, *, clear: bool = False) -> Move:
        """One status to the next."""
        source = record.status
        if target is TOP:
            target = record.stack.pop()
        if pushed:
            record.stack.append(pushed)
        if clear:
            record.stack.clear()
        move = Move(record.id, self.now, source, target, manager=record.manager if clear else None)
        if source == "running":
            record.attempts[record.latest] = Attempt("stopped", record.manager, self.now)
        if source in ("waiting", "running") or target == "waiting":
            record.manager = None
        if target == "waiting":
            record.losses = 0
        record.status, record.moved = target, self.now
        return self._note(op, record, move)

    def _note(self, op: Operation, record: Record, move: Move) -> Move:
        move.before = record.operation
        move.after = record.operation = op.id
        op.moves.append(move)
        return move

    def _requeue(self, op: Operation, record: Record, tag: str | None, priority: int | None) -> None:
        move = self._note(op, record, Move(record.id, self.now, record.status, record.status))
        self._retag(record, move, tag, priority)

    def _retag(self, record: Record, move: Move, tag: str | None, priority: int | None) -> None:
        if tag is not None and tag != record.tag:
            move.tag, record.tag = record.tag, tag
        if priority is not None and priority != record.priority:
            move.priority, record.priority = record.priority, priority

    # --- removal ----------------------------------------------------------------------------------------------

    def remove(self, action: str, ids: Sequence[int], operation: int, *, children: bool) -> tuple[set[int], Operation]:
        """Remove records for good; what a record that stays refers to, stays."""
        asked = set(ids)
        fitting = LOOKED_FOR["purge"] if action == "purge" else set(STATUSES)
        start = {i for i in asked if i in self.records and self.records[i].status in fitting}
        gone = {i for i in (self.descendants(start) if children else start) if self.records[i].status in fitting}
        while kept := {i for i in gone if self.parents(i) - gone}:
            gone -= kept
        op = self._begin(operation, action)
        for i in sorted(gone):
            op.moves.append(Move(i, self.now, self.records.pop(i).status, None))
        self.links = [(p, c) for p, c in self.links if p not in gone]
        op.count(asked, gone)
        return gone, op

    # --- taking back ------------------------------------------------------------------------------------------

    def undo(self, undone: int, operation: int) -> Operation:
        """Take an operation back for those that are as it left them."""
        what = self.operations[undone]
        assert what.kind is not None
        op = self.operations[operation] = Operation(operation, "undo", OPPOSITE[what.kind])
        op.undoes, op.expected = undone, len(what.moves)
        for move in sorted(what.moves, key=lambda move: move.record):
            record = self.records.get(move.record)
            if record is not None and record.operation == move.after and record.status == move.target:
                self._back(op, what.kind, record, move)
                op.moves[-1].after = record.operation = move.before
        op.changed = len(op.moves)
        op.refused = op.expected - op.changed
        return op

    def _back(self, op: Operation, kind: str, record: Record, move: Move) -> None:
        if kind == "requeued":
            self._requeue(op, record, move.tag, move.priority)
            return
        if kind == "pushed":
            back = self._step(op, record, TOP, None)
        elif kind == "popped":
            back = self._step(op, record, move.source, record.status)
        else:
            back = self._step(op, record, move.source, None, clear=True)
            record.manager = move.manager or record.manager
        self._retag(record, back, move.tag, move.priority)

    # --- by filter --------------------------------------------------------------------------------------------

    def fitting(self, wanted: dict[str, Any]) -> list[Record]:
        """Records that fit a filter, by id."""
        tests = {
            "record_id": lambda r, v: r.id in v,
            "record_type": lambda r, v: r.kind in v,
            "status": lambda r, v: r.status in v,
            "compute_tag": lambda r, v: r.tag in v,
            "parent_id": lambda r, v: bool(self.parents(r.id) & set(v)),
            "child_id": lambda r, v: bool(self.children(r.id) & set(v)),
            "manager_name": lambda r, v: r.manager in v,
        }
        return [r for _, r in sorted(self.records.items()) if all(tests[k](r, v) for k, v in wanted.items())]

    def applies_to(self, action: str, wanted: dict[str, Any]) -> list[Record]:
        """Those of them that an action by filter is for: tags are for what has still to be computed."""
        looked_for = [r for r in self.fitting(wanted) if r.status in LOOKED_FOR[action]]
        return [r for r in looked_for if action != "modify" or r.unfinished]
