"""People and managers that all do something at once to the same families, and what must hold afterwards whatever came
first."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.acting import REQUESTS, do
from tests.factories import Http, Manager, Refused, add, failure, http, make_result, silence, sql

TAGS = ("storm-a", "storm-b")
RECORDS = 36

# What must not exist, and the query that would find it.
FORBIDDEN = {
    "a stack that does not belong to the status": """
        SELECT id, status, stack FROM record
        WHERE (cardinality(stack) = 0) <> (status IN ('waiting', 'running', 'error', 'complete'))
    """,
    "a stack that is no life": """
        SELECT id, status, stack FROM record
        WHERE NOT (stack || status)::text[]::text IN (
            '{waiting}', '{running}', '{error}', '{complete}', '{waiting,cancelled}', '{error,cancelled}',
            '{complete,invalid}', '{waiting,deleted}', '{error,deleted}', '{complete,deleted}',
            '{waiting,cancelled,deleted}', '{error,cancelled,deleted}', '{complete,invalid,deleted}'
        )
    """,
    "something that runs nowhere, or does not run but was claimed": """
        SELECT id, status, worker_id, claimed_at FROM record
        WHERE (status = 'running') <> (claimed_at IS NOT NULL) OR status = 'running' AND worker_id IS NULL
            OR status = 'waiting' AND worker_id IS NOT NULL
    """,
    "an attempt that is missing, or one too many": """
        SELECT r.id, r.status, r.attempt_no, array_agg(a.attempt_no ORDER BY a.attempt_no)
        FROM record r LEFT JOIN attempt a ON a.record_id = r.id AND a.attempt_no > 0
        GROUP BY r.id
        HAVING coalesce(array_agg(a.attempt_no ORDER BY a.attempt_no) FILTER (WHERE a.id IS NOT NULL), '{}')
            <> ARRAY(SELECT generate_series(1, r.attempt_no - (r.status = 'running')::integer))
    """,
    "a result of what is not complete, or none of what is": """
        SELECT r.id, r.status, r.stack FROM record r
        WHERE (coalesce(r.stack[1], r.status) = 'complete') <> EXISTS (SELECT FROM result WHERE record_id = r.id)
    """,
    "a success that was taken back": """
        SELECT r.id, r.status, r.stack FROM record r JOIN attempt a ON a.record_id = r.id AND a.outcome = 'complete'
        WHERE coalesce(r.stack[1], r.status) <> 'complete'
    """,
    "an operation that counted wrong": """
        SELECT o.id, o.action, o.changed, o.relatives, count(m.record_id), count(DISTINCT m.record_id)
        FROM operation o LEFT JOIN move m ON m.operation_id = o.id
        WHERE o.action <> 'comment'
        GROUP BY o.id
        HAVING o.changed + o.relatives <> count(m.record_id) OR count(m.record_id) <> count(DISTINCT m.record_id)
    """,
    "a child that is gone": """
        SELECT c.parent_id, c.child_id FROM record_child c LEFT JOIN record r ON r.id = c.child_id WHERE r.id IS NULL
    """,
}
MOVES = "SELECT record_id, pg_xact_commit_timestamp(xmin), operation_id, source::text, target::text FROM move"
ENDED = """
    SELECT record_id, pg_xact_commit_timestamp(xmin), outcome FROM attempt
    WHERE attempt_no > 0 AND outcome IN ('complete', 'error')
"""
# What managers may have made of a record by the time somebody moves it again.
BECOMES = {
    "waiting": {"waiting", "running", "complete", "error"},
    "running": {"waiting", "running", "complete", "error"},
    "error": {"error", "complete"},
    "complete": {"complete"},
    "cancelled": {"cancelled"},
    "invalid": {"invalid"},
    "deleted": {"deleted"},
}


class Storm:
    """A family of families, and those who work on it at the same time."""

    def __init__(self, address: str, conninfo: str, seed: int) -> None:
        self.address, self.conninfo, self.seed = address, conninfo, seed
        self.troubles: list[str] = []
        self.handed_out: list[int] = []
        self.accepted: dict[int, str] = {}
        self.over = threading.Event()
        rng = random.Random(seed)
        with http(address) as api:
            self.ids = [add(api, compute_tag=rng.choice(TAGS))[0] for _ in range(RECORDS)]
        for child in range(4, RECORDS):
            for parent in set(rng.choices(range(child // 2, child), k=rng.choice([0, 1, 1, 2]))):
                insert = "INSERT INTO record_child (parent_id, role, key, child_id) VALUES (%s, 'storm', %s, %s)"
                sql(conninfo, insert, self.ids[parent], str(child), self.ids[child])

    def rage(self, people: int, actions: int, managers: int) -> None:
        """All at once; returns when the people have done what they wanted."""
        with ThreadPoolExecutor(people + managers) as pool:
            working = [pool.submit(self._as, n, self._manage) for n in range(managers)]
            done = [pool.submit(self._as, 100 + n, self._act, actions) for n in range(people)]
            for one in done:
                one.result()
            self.over.set()
            for one in working:
                one.result()

    def _as(self, n: int, work: Callable[..., None], *args: Any) -> None:
        try:
            with http(self.address) as api:
                work(api, random.Random(self.seed * 1000 + n), *args)
        except BaseException:
            self.over.set()
            raise

    def _act(self, api: Http, rng: random.Random, actions: int) -> None:
        deeds = [self._by_id] * 12 + [self._several_things] * 3 + [self._by_filter] * 4 + [self._undo] * 6
        deeds += [self._remove, self._add]
        for _ in range(actions):
            try:
                rng.choice(deeds)(api, rng)
            except Refused as refusal:
                if refusal.reply.get("code") not in ("count_moved", "not_undoable"):
                    self.troubles.append(str(refusal))

    def _some(self, rng: random.Random) -> list[int]:
        return rng.sample(self.ids, rng.choice([1, 1, 2, 4]))

    def _by_id(self, api: Http, rng: random.Random) -> None:
        actions = [a for a in REQUESTS if not a.startswith("remove")] + ["uncancel", "undelete", "reset"]
        do(api, rng.choice(actions), *self._some(rng))

    def _several_things(self, api: Http, rng: random.Random) -> None:
        action = rng.choice(["modify", "cancel", "reset"])
        do(api, action, *self._some(rng), compute_tag=rng.choice(TAGS), compute_priority=rng.randrange(3), comment="x")

    def _by_filter(self, api: Http, rng: random.Random) -> None:
        action = rng.choice(
            ["cancel", "uncancel", "reset", "delete", "undelete", "invalidate", "uninvalidate", "modify"]
        )
        wanted: dict[str, Any] = {"compute_tag": [rng.choice(TAGS)]}
        if rng.random() < 0.7:
            wanted["record_id"] = rng.sample(self.ids, 12)
        changes = {"compute_priority": rng.randrange(3)} if action == "modify" else {}
        seen = api.post("operations/preview", {"action": action, "filter": wanted, **changes})
        api.post("operations", {"token": seen["token"], "tolerance": 1})

    def _undo(self, api: Http, rng: random.Random) -> None:
        known = api.post("operations/query", {"limit": 8})
        if known:
            api.post(f"operations/{rng.choice(known)['id']}/undo", {})

    def _remove(self, api: Http, rng: random.Random) -> None:
        do(api, rng.choice(["remove", "remove_alone"]), rng.choice(self.ids[-8:]))

    def _add(self, api: Http, rng: random.Random) -> None:
        self.ids += add(api, 2, compute_tag=rng.choice(TAGS))

    def _manage(self, api: Http, rng: random.Random) -> None:
        manager = Manager(api, tags=TAGS)
        held: dict[int, dict[str, Any]] = {}
        while not self.over.is_set():
            try:
                tasks = manager.claim(rng.choice([1, 3, 8]))
                self.handed_out += [t["id"] for t in tasks]
                held |= {t["id"]: t for t in tasks}
                chance = rng.random()
                if chance < 0.1:
                    silence(self.conninfo, manager)
                elif chance < 0.2:
                    manager.beat("inactive")
                if held and chance > 0.15:
                    self._give(manager, held, rng)
            except Refused as refusal:
                self.troubles.append(str(refusal))

    def _give(self, manager: Manager, held: dict[int, dict[str, Any]], rng: random.Random) -> None:
        chosen = rng.sample(sorted(held), min(len(held), rng.choice([1, 2, 5])))
        kinds = {i: "complete" if i % 3 else "error" for i in chosen}  # the same each time that it is returned
        results = {i: make_result(held[i]) if kind == "complete" else failure() for i, kind in kinds.items()}
        for i in manager.give(results)["accepted_ids"]:
            self.accepted[i] = kinds[i]
        for i in chosen:
            if rng.random() < 0.8:  # else it is returned again later
                del held[i]

    # --- afterwards -------------------------------------------------------------------------------------------

    def forbidden(self) -> dict[str, list[tuple[Any, ...]]]:
        """What there is that must not be."""
        found = {what: sql(self.conninfo, query) for what, query in FORBIDDEN.items()}
        return {what: rows for what, rows in found.items() if rows}

    def broken_chains(self) -> list[str]:
        """Moves that do not start where the one before, or a manager since then, had left the record."""
        lives: dict[int, list[tuple[Any, ...]]] = {}
        for record_id, *move in sorted(sql(self.conninfo, MOVES)):
            lives.setdefault(record_id, []).append(tuple(move))
        last = dict(sql(self.conninfo, "SELECT id, status::text FROM record"))
        broken = []
        for record_id, moves in lives.items():
            at: str | None = "waiting"
            for _, operation_id, source, target in moves:
                if at is None or source not in BECOMES[at]:
                    broken.append(f"record {record_id}: {at}, then operation {operation_id} from {source} to {target}")
                at = target
            if (record_id in last) is (at is None) or (at and last[record_id] not in BECOMES[at]):
                broken.append(f"record {record_id}: {at}, but now {last.get(record_id)}")
        return broken + self._stored_on_the_dead(lives)

    def _stored_on_the_dead(self, lives: dict[int, list[tuple[Any, ...]]]) -> list[str]:
        broken = []
        for record_id, time, outcome in sql(self.conninfo, ENDED):
            before = [target for moved, _, _, target in lives.get(record_id, []) if moved < time]
            if before and before[-1] not in ("waiting", "running", "error"):
                broken.append(f"record {record_id}: {outcome} stored while it was {before[-1]}")
        return broken

    def unkept_promises(self) -> list[int]:
        """Accepted results that are not there, though their records are."""
        ended = {
            record_id * 65536 + no: outcome
            for record_id, no, outcome in sql(self.conninfo, "SELECT record_id, attempt_no, outcome FROM attempt")
        }
        there = {i for (i,) in sql(self.conninfo, "SELECT id FROM record")}
        return [t for t, kind in self.accepted.items() if t // 65536 in there and ended.get(t) != kind]


def twice(ids: Sequence[int]) -> list[int]:
    """What is in a list more than once."""
    return sorted(i for i in set(ids) if ids.count(i) > 1)
