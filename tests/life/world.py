"""A server and the model of it side by side: everything is done to both, and compared after each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from tests.acting import REQUESTS
from tests.factories import PROGRAMS, Http, Manager, add, failure, make_molecule, make_result
from tests.life.model import Operation
from tests.life.seeing import Seeing
from tests.life.working import Task
from tests.ticking import tick
from tests.toys import TOYS

MANAGERS = 3
OFFERS = 100
SIZES = {"stairs": {"steps": 2}, "towers": {"storeys": 1}}
READY = (
    "SELECT r.id FROM flow f JOIN record r ON r.id = f.record_id WHERE f.ready AND r.status IN ('waiting', 'running')"
)
UNKNOWN = 10**12
"""An id that no record has."""


class World(Seeing):
    """What can be done, each to the server and to the model."""

    def __init__(self, api: Http, conn: psycopg.Connection[Any], number: int) -> None:
        super().__init__(api, conn)
        self.number = number
        self.tags = [f"life{number}{c}" for c in "abc"]
        # What a claim offers is remembered for a second, to spare the next one with the same offer the beginning of the
        # queue. Each of these claims offers a tag that no other does, so that the order is the exact one.
        self.offers = [f"life{number}offer{n}" for n in range(OFFERS)]
        self.managers = [Manager(api, tags=[*self.tags, *self.offers], programs=PROGRAMS) for _ in range(MANAGERS)]
        self.tasks: list[tuple[int, dict[str, Any]]] = []
        self.looks: list[tuple[str, dict[str, Any], dict[str, Any], int, int, str]] = []

    # --- people -----------------------------------------------------------------------------------------------

    def add(self, kind: str, numbers: Sequence[int], tag: str, priority: int, *, find_existing: bool) -> None:
        molecules = [make_molecule(10**6 + self.number * 100 + n) for n in numbers]
        queue = {"compute_tag": tag.upper(), "compute_priority": priority}
        spec = SIZES.get(kind)
        ids = add(self.api, kind=kind, spec=spec, molecules=molecules, **queue, find_existing=find_existing)
        fresh: dict[Any, int] = {}
        new: list[int] = []
        for n, i in zip(numbers, ids, strict=True):
            content = (kind, n)
            found = self.model.find(content) if find_existing and content not in fresh else None
            if found is not None:
                assert i == found.id, "the record that was found"
            elif find_existing and content in fresh:
                assert i == fresh[content], "twice in one request"
            else:
                fresh[content] = i
                new.append(i)
                self.appear(i, kind, tag, priority, content)
                made = self.model.records[i]
                made.find_existing, made.place = find_existing, min(new)

    def link(self, parent: int, child: int) -> bool:
        """Make one record the child of another, as services will; not if that made a circle."""
        if parent in self.model.descendants([child]) or (parent, child) in self.model.links:
            return False
        if any(self.is_part(i) for i in (parent, child)):
            return False  # whom they are linked to, flows say
        self.conn.execute(
            "INSERT INTO record_child (parent_id, role, key, child_id) VALUES (%s, 'life', %s, %s)",
            (parent, str(child), child),
        )
        self.model.links.append((parent, child))
        return True

    def is_part(self, i: int) -> bool:
        """Whether it is a composite record, or made for one."""
        record = self.model.records[i]
        return record.composite or (record.content is not None and record.content[0] == "step")

    def tick(self) -> None:
        """What upkeep does, one record at a time."""
        tick(self.conn.info.dsn, TOYS, at_once=1)
        query = "SELECT child_id FROM record_child WHERE parent_id = %s AND batch = %s ORDER BY role, key, position"
        self.model.tick(lambda parent, batch: [i for (i,) in self._rows(query, parent, batch)])
        self.known += sorted(self.model.records.keys() - set(self.known))
        assert self._rows(READY) == [], "all has been taken on"

    def settle(self) -> None:
        """When people rest, and managers compute all there is, everything ends, soon."""
        for _ in range(12):
            self._then(self.tick)
            if not any(r.status == "waiting" for r in self.model.records.values()):
                break
            already = len(self.tasks)
            self._then(lambda: self.claim(0, self.tags, 50))
            self._then(lambda: self.give(0, [(t, "success") for _, t in self.tasks[already:]]))  # noqa: B023
        assert not [r.id for r in self.model.records.values() if r.status == "waiting"], "something is not taken up"
        own = {i for i, r in self.model.records.items() if r.status in ("waiting", "running")}
        held = {t["record_id"] for _, t in self.tasks}
        assert not own - held - self.model.ancestors(held & own), "something hangs"

    def _then(self, work: Callable[[], None]) -> None:
        work()
        self.compare()
        self.model.now += 1

    def act(self, action: str, ids: list[int], **changes: Any) -> None:
        method, path, body = REQUESTS.get(action, ("PATCH", "records", {}))
        before = {i: r.status for i, r in self.model.records.items()}
        answer = self.api.ask(method, f"/api/v1/{path}", {"record_ids": ids, **body, **changes})
        new = {key.removeprefix("compute_"): value for key, value in changes.items()}
        changed, op = self.model.act(action, ids, self.new_operation(), **new)
        self.answered(answer, ids, changed, before)
        self.looked_at(op)

    def remove(self, ids: list[int], *, children: bool) -> None:
        method, path, body = REQUESTS["remove" if children else "remove_alone"]
        before = set(self.model.records)
        answer = self.api.ask(method, f"/api/v1/{path}", {"record_ids": ids, **body})
        gone, op = self.model.remove("remove", ids, self.new_operation(), children=children)
        self.looked_at(op)
        kept = [n for n, i in enumerate(ids) if i in before and i not in gone]
        assert answer == {
            "error_description": None,
            "errors": [[n, "Integrity Error - may still be referenced"] for n in kept],
            "deleted_idx": [n for n in range(len(ids)) if n not in kept],
            "n_children_deleted": len(gone - set(ids)),
        }

    def undo(self, op: Operation) -> None:
        path = f"operations/{op.id}/undo"
        if op.kind is None:
            refusal = self.api.refused("POST", f"/api/v1/{path}", {})
            assert refusal.reply["code"] == "not_undoable"
            return
        answer = self.api.post(path, {"reason": "why not"})
        new = self.new_operation()
        assert answer["id"] == new
        undone = self.model.undo(op.id, new)
        left = self.api.post(f"operations/{new}/left", {})
        restored = {move.record for move in undone.moves}
        assert [one["record_id"] for one in left] == sorted({m.record for m in op.moves} - restored)
        after = {move.record: move.after for move in op.moves}
        for one in left:
            record = self.model.records.get(one["record_id"])
            if record is None:
                assert "removed" in one["reason"]
            elif record.operation == after[record.id]:
                assert f"It is {record.status} by now" in one["reason"]
            elif record.operation is None or record.operation < (after[record.id] or 0):
                assert "taken back already" in one["reason"]
            else:
                assert f"Operation {record.operation} moved it later" in one["reason"]
        self.looked_at(undone)

    # --- by filter --------------------------------------------------------------------------------------------

    def preview(self, action: str, wanted: dict[str, Any], **changes: Any) -> None:
        seen = self.api.post("operations/preview", {"action": action, "filter": wanted, **changes})
        all_that_fit = self.model.fitting(wanted)
        fit = self.model.applies_to(action, wanted)
        assert seen["count"] == len(fit)
        assert [e["id"] for e in seen["examples"]] == [r.id for r in fit[:5]]
        for field, records in (("by_status", fit), ("others", [r for r in all_that_fit if r not in fit])):
            told = {(c["record_type"], c["status"]): c["count"] for c in seen[field]}
            kinds = {(r.kind, r.status) for r in records}
            assert told == {k: sum((r.kind, r.status) == k for r in records) for k in kinds}
        upto = max((r.id for r in all_that_fit), default=0)
        self.looks.append((action, wanted, changes, len(fit), upto, seen["token"]))

    def apply(self, number: int, tolerance: float) -> None:
        action, wanted, changes, count, upto, token = self.looks[number % len(self.looks)]
        fit = [r for r in self.model.applies_to(action, wanted) if r.id <= upto]
        body = {"token": token, "reason": "seen", "tolerance": tolerance}
        if abs(len(fit) - count) > tolerance * count:
            refusal = self.api.refused("POST", "/api/v1/operations", body)
            assert (refusal.status, refusal.reply["code"]) == (409, "count_moved")
            assert (refusal.reply["expected"], refusal.reply["count"]) == (count, len(fit))
            return
        answer = self.api.post("operations", body)
        new = self.new_operation()
        assert (answer["id"], answer["state"], answer["reason"]) == (new, "complete", "seen")
        ids = [r.id for r in fit]
        if action == "purge":
            _, op = self.model.remove(action, ids, new, children=True)
        else:
            given = {key.removeprefix("compute_"): value for key, value in changes.items()}
            _, op = self.model.act(action, ids, new, **given)
        op.expected = len(ids)
        self.looked_at(op)

    # --- managers ---------------------------------------------------------------------------------------------

    def claim(self, who: int, tags: list[str], limit: int) -> None:
        manager = self.managers[who]
        offer = [*tags, self.offers.pop()]
        given = manager.claim(limit, compute_tags=offer)
        expected = self.model.claim(manager.name, tags, limit)
        assert [self.task(t["id"]) for t in given] == expected, "who gets what"
        for t in given:
            record = self.model.records[t["record_id"]]
            assert (t["tag"], t["priority"]) == (record.tag, record.priority)
        self.tasks += [(who, t) for t in given]

    def give(self, who: int, results: list[tuple[dict[str, Any], str]]) -> None:
        manager = self.managers[who]
        sent = {t["id"]: self.result(t, what) for t, what in results}
        records = self.model.records
        families = {t["record_id"] for t, _ in results if t["record_id"] in records}
        families = {i for i in families if records[i].kind == "optimization" and records[i].status != "complete"}
        answer = manager.give(sent)
        accepted, rejected = self.model.give(manager.name, {self.task(t["id"]): what for t, what in results})
        assert [self.task(i) for i in answer["accepted_ids"]] == sorted(accepted)
        told = {self.task(i): reason for i, reason in answer["rejected_info"]}
        assert told.keys() == rejected.keys()
        for task, reason in rejected.items():
            assert reason is None or told[task] == reason
        for i in families:
            if records[i].status == "complete":
                self.model.born(i, self.steps(i))

    def result(self, task: dict[str, Any], what: str) -> Any:
        if what == "garbage":
            return b"neither compressed nor a result"
        return make_result(task) if what == "success" else failure()

    def task(self, task_id: int) -> Task:
        return divmod(task_id, 65536)

    def leave(self, who: int, *, lost: bool) -> None:
        more = {"lost": True} if lost else {}
        self.managers[who].beat("inactive", **more)
        self.model.leave(self.managers[who].name, lost=lost)

    def fall_silent(self, who: int) -> None:
        self.lose(self.managers[who])
        self.model.leave(self.managers[who].name, lost=True)

    def beat(self, who: int) -> None:
        tasks = [t["id"] for mine, t in self.tasks if mine == who]
        answer = self.managers[who].beat(running=tasks)
        expected = self.model.unwanted(self.managers[who].name, [self.task(t) for t in tasks])
        assert sorted(answer["stop"]) == sorted({record * 65536 + no for record, no in expected})
