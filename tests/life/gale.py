"""People, managers, servers and upkeep that all work on the same composite records at once, and upkeep that dies."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from subprocess import Popen
from typing import Any

from tests.acting import do
from tests.factories import Http, Manager, Refused, failure, http, make_molecule, make_result, sql, until
from tests.life.seeing import FORBIDDEN
from tests.life.storm import FORBIDDEN as FORBIDDEN_ANYWHERE
from tests.toy_process import start_server, start_upkeep
from tests.toys import build, climb

TAGS = ("gale-a", "gale-b")
# Composite records have the row of an attempt while they run, no manager, and facts about them before they end.
OF_PLAIN_RECORDS = (
    "something that runs nowhere, or does not run but was claimed",
    "an attempt that is missing, or one too many",
    "a result of what is not complete, or none of what is",
)
AT_WORK = "SELECT id, kind, status::text FROM record WHERE status IN ('waiting', 'running')"


class Gale:
    """Who takes part, and what they leave behind."""

    def __init__(self, conninfo: str, seed: int, *, servers: int = 2, upkeeps: int = 3) -> None:
        self.conninfo, self.seed = conninfo, seed
        self.troubles: list[str] = []
        self.killed = 0
        self.computed = 0
        self.over = threading.Event()
        self._molecules = [make_molecule() for _ in range(6)]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._servers = [start_server(conninfo, self._listening) for _ in range(servers)]
        self._upkeeps = [start_upkeep(conninfo) for _ in range(upkeeps)]

    def close(self) -> None:
        for process in (*self._servers, *self._upkeeps):
            process.terminate()
        for process in (*self._servers, *self._upkeeps):
            process.wait(30)
        self._listening.close()

    def blow(self, people: int, actions: int, managers: int) -> None:
        """All at once; returns when people have done what they wanted, and then everything that was left has ended."""
        with http(self.address) as api:
            for _ in range(12):
                self._add(api, random.Random(self.seed))
        with ThreadPoolExecutor(people + managers + 1) as pool:
            working = [pool.submit(self._as, n, self._manage) for n in range(managers)]
            working.append(pool.submit(self._as, 50, self._kill))
            done = [pool.submit(self._as, 100 + n, self._act, actions) for n in range(people)]
            for one in (*done, *working):
                one.result()

    def settle(self, seconds: float) -> None:
        """When people rest, and what is claimable is computed, everything ends in time."""
        with http(self.address) as api:
            manager = Manager(api, tags=TAGS)

            def ended() -> bool:
                for task in manager.claim(50):
                    manager.give_one(task["id"], make_result(task))
                return not sql(self.conninfo, AT_WORK)

            until(ended, seconds)

    def _as(self, n: int, work: Callable[..., None], *args: Any) -> None:
        try:
            with http(self.address) as api:
                work(api, random.Random(self.seed * 1000 + n), *args)
        except BaseException:
            self.over.set()
            raise

    def _act(self, api: Http, rng: random.Random, actions: int) -> None:
        deeds = [self._by_id] * 12 + [self._modify] * 2 + [self._by_filter] * 3 + [self._undo] * 3
        deeds += [self._remove, *[self._add] * 5]
        for _ in range(actions):
            try:
                rng.choice(deeds)(api, rng)
            except Refused as refusal:
                if refusal.reply.get("code") not in ("count_moved", "not_undoable"):
                    self.troubles.append(str(refusal))
        self.over.set()

    def _some(self, rng: random.Random) -> list[int]:
        ids = [i for (i,) in sql(self.conninfo, "SELECT id FROM record ORDER BY id DESC LIMIT 60")]
        return rng.sample(ids, min(len(ids), rng.choice([1, 1, 2])))

    def _by_id(self, api: Http, rng: random.Random) -> None:
        actions = ["cancel", "uncancel", "uncancel", "reset", "reset", "delete", "delete_alone", "undelete", "undelete"]
        do(api, rng.choice([*actions, "invalidate", "uninvalidate"]), *self._some(rng))

    def _modify(self, api: Http, rng: random.Random) -> None:
        do(api, "modify", *self._some(rng), compute_tag=rng.choice(TAGS), compute_priority=rng.randrange(3))

    def _by_filter(self, api: Http, rng: random.Random) -> None:
        action = rng.choice(["uncancel", "reset", "undelete", "uncancel", "cancel", "modify"])
        wanted = {"record_type": [rng.choice(["stairs", "towers", "singlepoint"])], "compute_tag": [rng.choice(TAGS)]}
        changes = {"compute_priority": rng.randrange(3)} if action == "modify" else {}
        seen = api.post("operations/preview", {"action": action, "filter": wanted, **changes})
        api.post("operations", {"token": seen["token"], "tolerance": 1})

    def _undo(self, api: Http, rng: random.Random) -> None:
        known = api.post("operations/query", {"limit": 8})
        if known:
            api.post(f"operations/{rng.choice(known)['id']}/undo", {})

    def _remove(self, api: Http, rng: random.Random) -> None:
        do(api, rng.choice(["remove", "remove_alone"]), *self._some(rng))

    def _add(self, api: Http, rng: random.Random) -> None:
        more = {"compute_tag": rng.choice(TAGS), "compute_priority": rng.randrange(3)}
        molecule = rng.choice([*self._molecules, make_molecule()])
        if rng.random() < 0.3:
            build(api, rng.randint(1, 2), molecule=molecule, **more)
        else:
            climb(api, rng.randint(1, 3), molecule=molecule, find_existing=rng.random() < 0.7, **more)

    def _manage(self, api: Http, rng: random.Random) -> None:
        manager = Manager(api, tags=TAGS)
        while not self.over.is_set():
            try:
                tasks = manager.claim(rng.choice([1, 3, 8]))
                if rng.random() < 0.1:
                    manager.beat("inactive")
                results = {t["id"]: make_result(t) if rng.random() < 0.85 else failure() for t in tasks}
                self.computed += len(manager.give(results)["accepted_ids"]) if results else 0
            except Refused as refusal:
                self.troubles.append(str(refusal))

    def _kill(self, _: Http, rng: random.Random) -> None:
        """A process ends in the middle of whatever it is doing, and another one is started."""
        while not self.over.wait(rng.uniform(1, 2.5)):
            victim: Popen[bytes] = self._upkeeps.pop(rng.randrange(len(self._upkeeps)))
            victim.kill()
            victim.wait(10)
            self.killed += 1
            self._upkeeps.append(start_upkeep(self.conninfo))

    def forbidden(self) -> dict[str, list[tuple[Any, ...]]]:
        """What there is that must not be."""
        anywhere = {what: query for what, query in FORBIDDEN_ANYWHERE.items() if what not in OF_PLAIN_RECORDS}
        found = {what: sql(self.conninfo, query) for what, query in {**anywhere, **FORBIDDEN}.items()}
        return {what: rows for what, rows in found.items() if rows}


@contextmanager
def gale(conninfo: str, seed: int) -> Iterator[Gale]:
    """One with all its processes, while the context lasts."""
    made = Gale(conninfo, seed)
    try:
        with http(made.address) as api:
            api.get("information")  # waits until one answers
        yield made
    finally:
        made.close()
