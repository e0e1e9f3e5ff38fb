"""Records that fail run again by themselves, as often as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec
import pytest
from tests.archive import Archive, prepared, running
from tests.factories import Http, Manager, add, claimed, failure, http, make_result, silence, sql, started

from qchive.server.settings import AutoReset, Settings

Serve = Callable[..., AbstractContextManager[tuple[Http, Archive]]]


@pytest.fixture
def serve(databases: Any) -> Serve:
    """A server that resets failed records with these limits."""

    @contextmanager
    def made(**limits: Any) -> Iterator[tuple[Http, Archive]]:
        settings = Settings(auto_reset=msgspec.convert({"enabled": True, **limits}, AutoReset))
        with prepared(databases) as conninfo, running(conninfo, settings) as server, http(server.address) as api:
            yield api, server

    return made


def error(error_type: str, message: str = "something odd") -> dict[str, Any]:
    return failure(error={"error_type": error_type, "error_message": message})


def fail(manager: Manager, *error_types: str) -> list[str]:
    """Fail the one record there is again and again; its status after each time."""
    found = []
    for error_type in error_types:
        (task,) = manager.claim()
        assert manager.give_one(task["id"], error(error_type)) is None
        found.append(manager.api.record(task["record_id"])["status"])
    return found


def operations(server: Archive) -> list[tuple[Any, ...]]:
    """What was done to records: action, who, why."""
    return sql(server.conninfo, "SELECT action, username, reason FROM operation ORDER BY id")


def test_records_stay_in_error_unless_the_archive_says_otherwise(api: Http) -> None:
    manager, task = started(api)
    manager.give_one(task["id"], error("random_error"))
    assert api.record(task["record_id"])["status"] == "error"


def test_three_failures_of_unknown_types_are_one_too_many(serve: Serve) -> None:
    with serve(unknown_error=2) as (api, server):
        (record_id,) = add(api)
        manager = Manager(api)
        assert fail(manager, "foo", "bar", "baz") == ["waiting", "waiting", "error"]
        history = api.record(record_id, "compute_history")["compute_history"]
        assert [entry["status"] for entry in history] == ["error"] * 3
        assert manager.shown()["failures"] == 3
        assert operations(server) == [
            ("auto_reset", None, "auto_reset: unknown_error 1 of 2"),
            ("auto_reset", None, "auto_reset: unknown_error 2 of 2"),
        ]
        moves = sql(server.conninfo, "SELECT source::text, target::text FROM move WHERE record_id = %s", record_id)
        assert moves == [("error", "waiting")] * 2


def test_every_sort_of_error_has_a_budget_of_its_own(serve: Serve) -> None:
    with serve(unknown_error=1, random_error=1, compute_lost=1) as (api, _):
        add(api)
        sorts = ("random_error", "foo", "KilledWorker", "random_error")
        assert fail(Manager(api), *sorts) == ["waiting", "waiting", "waiting", "error"]


@pytest.mark.parametrize("error_type", ["input_error", "convergence_error", "internal_fractal_error"])
def test_what_would_fail_again_unchanged_stays_in_error(serve: Serve, error_type: str) -> None:
    with serve() as (api, _):
        add(api)
        assert fail(Manager(api), error_type) == ["error"]


def test_a_limit_for_a_class_counts_for_all_its_types(serve: Serve) -> None:
    with serve(by_class={"memory": 1, "convergence": 1}) as (api, _):
        add(api)
        assert fail(Manager(api), "resource_error", "convergence_error", "MemoryError") == [
            "waiting",
            "waiting",
            "error",
        ]


def test_a_manual_reset_renews_the_budget(serve: Serve) -> None:
    with serve(unknown_error=1) as (api, _):
        (record_id,) = add(api)
        manager = Manager(api)
        assert fail(manager, "foo", "foo") == ["waiting", "error"]
        api.patch("records", {"record_ids": [record_id], "status": "waiting"})
        assert fail(manager, "foo", "foo") == ["waiting", "error"]


def test_a_reset_by_filter_renews_it_too(serve: Serve) -> None:
    with serve(unknown_error=0) as (api, _):
        (record_id,) = add(api)
        manager = Manager(api)
        for _ in range(2):
            assert fail(manager, "foo") == ["error"]
            seen = api.post("operations/preview", {"action": "reset", "filter": {"record_id": [record_id]}})
            assert api.post("operations", {"token": seen["token"]})["changed"] == 1
        assert fail(manager, "random_error") == ["waiting"]


def test_other_things_people_do_renew_nothing(serve: Serve) -> None:
    with serve(unknown_error=1) as (api, _):
        (record_id,) = add(api)
        manager = Manager(api)
        assert fail(manager, "foo") == ["waiting"]
        api.patch("records", {"record_ids": [record_id], "status": "cancelled"})
        api.post("records/revert", {"record_ids": [record_id], "revert_status": "cancelled"})
        assert fail(manager, "foo") == ["error"]


def test_attempts_without_an_error_are_not_counted(serve: Serve) -> None:
    with serve(unknown_error=1) as (api, server):
        (record_id,) = add(api)
        manager = Manager(api)
        assert fail(manager, "foo") == ["waiting"]
        sql(server.conninfo, "UPDATE attempt SET outcome = 'complete', error_type = NULL, error_class = NULL")
        assert fail(manager, "foo") == ["waiting"]
        sql(server.conninfo, "UPDATE attempt SET outcome = 'stopped' WHERE record_id = %s", record_id)
        assert fail(manager, "foo") == ["waiting"]


def test_attempts_whose_manager_fell_silent_count_as_lost(serve: Serve) -> None:
    with serve(compute_lost=2) as (api, server):
        (record_id,) = add(api)
        for _ in range(2):
            manager = Manager(api)
            manager.claim()
            silence(server.conninfo, manager)
        assert api.record(record_id)["status"] == "waiting"
        assert fail(Manager(api), "ManagerLost") == ["error"]


def test_a_record_lost_too_often_in_a_row_does_not_run_again_by_itself(serve: Serve) -> None:
    with serve(compute_lost=50) as (api, server):
        (record_id,) = add(api)
        for _ in range(5):
            manager = Manager(api)
            manager.claim()
            silence(server.conninfo, manager)
        assert api.record(record_id)["status"] == "error"
        assert operations(server) == []
        found = sql(server.conninfo, "SELECT error_type, error_class FROM attempt WHERE outcome = 'error'")
        assert found == [("lost", "lost")]


def test_a_batch_is_reset_together_whatever_else_is_in_it(serve: Serve) -> None:
    with serve() as (api, server):
        manager, tasks = claimed(api, *["singlepoint"] * 9)
        results: list[Any] = [error("random_error")] * 3 + [error("foo")] * 3 + [error("input_error"), b"rubbish"]
        given = dict(zip([t["id"] for t in tasks], [*results, make_result(tasks[-1])], strict=True))
        answer = manager.give(given)
        assert len(answer["accepted_ids"]) == 8
        wanted = ["waiting"] * 6 + ["error", "error", "complete"]
        assert api.statuses([t["record_id"] for t in tasks]) == wanted
        assert [why for _, _, why in operations(server)] == [
            "auto_reset: random_error 1 of 5",
            "auto_reset: unknown_error 1 of 2",
        ]
        assert len(manager.claim()) == 6


def test_what_is_said_again_counts_once(serve: Serve) -> None:
    with serve(unknown_error=1) as (api, _):
        manager, task = started(api)
        for _ in range(3):
            assert manager.give_one(task["id"], error("foo")) is None
        assert api.record(task["record_id"])["status"] == "waiting"


def test_an_error_is_stored_with_its_class_and_fingerprint(archive: Any, api: Http) -> None:
    manager, tasks = claimed(api, "singlepoint", "singlepoint")
    end = "SCF did not converge in {} cycles"
    for n, task in enumerate(tasks, start=7):
        frames = "Traceback (most recent call last):\n" + '  File "/opt/x.py", line 3, in f\n' * 60
        manager.give_one(task["id"], error("unknown_error", f"{frames}RuntimeError: {end.format(n)}"))
    found = sql(archive.conninfo, "SELECT error_class, fingerprint, error_message FROM attempt ORDER BY id")
    assert [row[0] for row in found] == ["convergence"] * 2
    assert found[0][1] == found[1][1]
    assert [row[2].endswith(end.format(n)) for n, row in enumerate(found, start=7)] == [True, True]
    assert all(len(row[2]) <= 1000 for row in found)


def test_a_success_has_neither(archive: Any, api: Http) -> None:
    manager, task = started(api)
    manager.give_one(task["id"], make_result(task))
    assert sql(archive.conninfo, "SELECT error_class, fingerprint FROM attempt") == [(None, None)]
