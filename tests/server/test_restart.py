"""PostgreSQL goes away in the middle of requests and comes back: nothing is lost, and no manager is told a 5xx."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.archive import Archive, running
from tests.factories import Http, Manager, add, http, make_result, sql, until
from tests.serving import kill

from qchive.db.embedded import EmbeddedPostgres
from qchive.server.settings import Settings


@pytest.fixture
def killable(own_postgres: EmbeddedPostgres) -> Iterator[tuple[EmbeddedPostgres, Archive]]:
    """That PostgreSQL, and a patient server on it."""
    with running(own_postgres.dsn, Settings(database_patience=30.0)) as server:
        yield own_postgres, server


class Worker:
    """A manager that works in a thread of its own, and repeats what was not answered, as existing managers do."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.statuses: set[int] = set()
        self.taken: list[int] = []
        self.refused: list[Any] = []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        with http(self.address) as api:
            manager = Manager(api)
            while not self.done.is_set():
                tasks = self._until_answered(lambda: manager.claim(3))
                results = {t["id"]: make_result(t) for t in tasks}
                if results:
                    answer = self._until_answered(lambda: manager.give(results))  # noqa: B023
                    self.taken += answer["accepted_ids"]
                    self.refused += answer["rejected_info"]

    def _until_answered(self, ask: Any) -> Any:
        while True:
            try:
                answer = ask()
                self.statuses.add(200)
                return answer
            except httpx.TransportError:
                self.statuses.add(0)
            except AssertionError as refused:
                self.statuses.add(getattr(refused, "status", -1))
                raise


def test_claims_and_returns_survive_a_power_cut_of_postgresql(killable: Any) -> None:
    postgres, server = killable
    with http(server.address) as api:
        ids = add(api, 120)
        worker = Worker(server.address)
        worker.thread.start()
        for _ in range(2):
            before = len(worker.taken)
            until(lambda: len(worker.taken) > before + 6)  # noqa: B023
            kill(postgres)
            postgres.start()
        until(lambda: "waiting" not in api.statuses(ids))
        worker.done.set()
        worker.thread.join(30)
        assert worker.statuses <= {200, 0}, "a manager was told an error"
        # A claim whose answer was lost leaves its records running, for upkeep to free; no confirmed result is lost.
        confirmed = {task >> 16 for task in worker.taken}
        assert set(api.statuses(sorted(confirmed))) == {"complete"}
        assert set(api.statuses(ids)) <= {"complete", "running"}
        assert len(confirmed) >= 100
        assert worker.refused == []
        assert sql(postgres.dsn, "SELECT count(*) FROM attempt WHERE outcome <> 'complete'") == [(0,)]


def test_requests_wait_for_postgresql_to_come_back(killable: Any) -> None:
    postgres, server = killable
    answers: list[Any] = []
    with http(server.address) as api:
        add(api, 2)
        kill(postgres)
        threads = [
            threading.Thread(target=lambda: answers.append(api.post("records/query", {}))),
            threading.Thread(target=lambda: answers.append(add(api))),
        ]
        for thread in threads:
            thread.start()
        assert api.raw.get("/api/v1/ping").json()["success"], "what needs no database is answered meanwhile"
        postgres.start()
        for thread in threads:
            thread.join(60)
        assert len(answers) == 2
        assert len(api.post("records/query", {})) == 3


def test_without_postgresql_people_are_told_and_managers_are_hung_up_on(own_postgres: EmbeddedPostgres) -> None:
    with (
        running(own_postgres.dsn, Settings(database_patience=0.3)) as server,
        http(server.address) as api,
    ):
        manager = Manager(api)
        (record_id,) = add(api)
        (task,) = manager.claim()
        kill(own_postgres)
        refusal = api.refused("POST", "/api/v1/records/query", {})
        assert (refusal.status, refusal.reply["code"]) == (503, "unavailable")
        assert "try again" in refusal.reply["msg"]
        for ask in (
            manager.claim,
            manager.beat,
            lambda: manager.give({task["id"]: make_result(task)}),
            manager.activate,
        ):
            with pytest.raises(httpx.TransportError):
                ask()
        own_postgres.start()
        until(lambda: answered(api))
        assert manager.give_one(task["id"], make_result(task)) is None
        assert api.statuses([record_id]) == ["complete"]


def answered(api: Http) -> bool:
    return api.raw.post("/api/v1/records/query", json={}).status_code == 200
