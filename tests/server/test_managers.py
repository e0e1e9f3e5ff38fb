"""Compute managers: announcing themselves, staying alive, leaving; and what is lost with them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.factories import (
    Http,
    Manager,
    add,
    claim_and_return,
    failure,
    make_result,
    silence,
    sql,
    unpacked,
)


def test_a_manager_announces_itself(api: Http) -> None:
    manager = Manager(api, cluster="Big Cluster-1", activate=False)
    manager.programs = {"PSI4": ["1.9A", ""], "qcengine": [], "": ["1"]}
    manager.tags = ["B", "", "a", "b"]
    manager.id = manager.activate()
    shown = manager.shown()
    assert shown.pop("created_on") == shown.pop("modified_on")
    assert shown == {
        "id": manager.id,
        "name": manager.name,
        "cluster": "Big Cluster-1",
        "hostname": "node1",
        "username": None,
        "tags": ["b", "a"],
        "programs": {"psi4": ["1.9a", ""], "qcengine": []},
        "manager_version": "0.71",
        "status": "active",
        **dict.fromkeys(("claimed", "successes", "failures", "rejected"), 0),
        **dict.fromkeys(("active_tasks", "active_cores", "active_memory", "total_cpu_hours"), 0),
    }


def test_announcing_the_same_again_is_harmless(api: Http) -> None:
    manager = Manager(api)
    assert manager.activate() == manager.id
    manager.tags = ["other"]
    body = {**manager.offer(), "manager_version": "0.71", "username": None}
    refusal = api.refused("POST", "/compute/v1/managers", body)
    assert (refusal.status, refusal.reply["code"]) == (400, "manager_refused")
    assert "A manager with this name already exists" in refusal.reply["msg"]


@pytest.mark.parametrize(
    "change",
    [
        {"programs": {}},
        {"programs": {"": ["1"]}},
        {"compute_tags": []},
        {"compute_tags": [""]},
        {"compute_tags": ["x" * 201]},
        {"name_data": {"cluster": "a/b", "hostname": "c", "uuid": "d"}},
        {"name_data": {"cluster": "", "hostname": "c", "uuid": "d"}},
        {"name_data": {"cluster": "a", "hostname": "c\0", "uuid": "d"}},
        {"name_data": {"cluster": "a", "hostname": "c"}},
        {"manager_version": None},
        {"programs": {"psi4\0": ["1"]}},
    ],
)
def test_an_announcement_that_could_not_work_is_refused(shared_api: Http, change: dict[str, Any]) -> None:
    manager = Manager(shared_api, activate=False)
    body = {**manager.offer(), "manager_version": "0.71", "username": None, **change}
    assert shared_api.refused("POST", "/compute/v1/managers", body).reply["code"] == "invalid_body"


def test_a_heartbeat_keeps_its_figures(api: Http) -> None:
    manager = Manager(api)
    before = manager.shown()["modified_on"]
    assert manager.beat(active_tasks=3, active_cores=12, active_memory=24.5, total_cpu_hours=1.75) is None
    shown = manager.shown()
    figures = ("active_tasks", "active_cores", "active_memory", "total_cpu_hours", "status")
    assert [shown[f] for f in figures] == [3, 12, 24.5, 1.75, "active"]
    assert shown["modified_on"] > before


@pytest.mark.parametrize(
    "change",
    [{"status": "asleep"}, {"active_tasks": -1}, {"active_cores": 2**31}, {"active_memory": None}, {"running": ["x"]}],
)
def test_a_heartbeat_that_makes_no_sense_is_refused(shared_api: Http, change: dict[str, Any]) -> None:
    manager = Manager(shared_api)
    body = {"status": "active", "active_tasks": 0, "active_cores": 0, "active_memory": 0, "total_cpu_hours": 0}
    path = f"/compute/v1/managers/{manager.name}"
    assert shared_api.refused("PATCH", path, {**body, **change}).reply["code"] == "invalid_body"


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), -1.0])
def test_figures_that_are_no_numbers_are_refused(shared_api: Http, figure: float) -> None:
    manager = Manager(shared_api)
    body = {"status": "active", "active_tasks": 0, "active_cores": 0, "active_memory": figure, "total_cpu_hours": 0}
    refusal = shared_api.refused("PATCH", f"/compute/v1/managers/{manager.name}", body, encoding="application/msgpack")
    assert refusal.reply["code"] == "invalid_body"


def test_a_stranger_has_no_heartbeat(api: Http) -> None:
    body = {"status": "active", "active_tasks": 0, "active_cores": 0, "active_memory": 0, "total_cpu_hours": 0}
    for name in ("nobody", "a%00b", "a/b"):
        refusal = api.refused("PATCH", f"/compute/v1/managers/{name}", body)
        assert refusal.status == 400


def test_a_heartbeat_learns_which_tasks_to_stop(api: Http) -> None:
    add(api, 4)
    manager = Manager(api)
    tasks = manager.claim(3)
    ids = [t["id"] for t in tasks]
    assert manager.beat(running=ids) == {"stop": []}
    api.patch("records", {"record_ids": [tasks[0]["record_id"]], "status": "cancelled"})
    api.post(
        "records/bulkDelete", {"record_ids": [tasks[2]["record_id"]], "soft_delete": False, "delete_children": True}
    )
    (foreign,) = Manager(api).claim()
    asked = [*ids, foreign["id"], 2**62, 0, -1]
    assert sorted(manager.beat(running=asked)["stop"]) == sorted([ids[0], ids[2], foreign["id"], 2**62, 0])


def test_a_farewell_hands_back_what_is_held_and_holds_nothing_against_it(archive: Any, api: Http) -> None:
    ids = add(api, 3)
    manager, other = Manager(api), Manager(api)
    manager.claim(2)
    other.claim(1)
    manager.beat("inactive")
    assert manager.shown()["status"] == "inactive"
    assert api.statuses(ids) == ["waiting", "waiting", "running"]
    assert api.record(ids[0])["manager_name"] is None
    assert api.record(ids[0], "compute_history")["compute_history"] == []
    assert sql(archive.conninfo, "SELECT outcome, count(*) FROM attempt GROUP BY 1") == [("stopped", 2)]
    assert sql(archive.conninfo, "SELECT sum(losses) FROM record") == [(0,)]
    assert manager.beat("inactive") is None


def test_a_manager_that_was_given_up_comes_back_by_talking(archive: Any, api: Http) -> None:
    manager = Manager(api)
    for talk in (manager.claim, manager.beat, lambda: manager.give({})):
        silence(archive.conninfo, manager)
        assert manager.shown()["status"] == "inactive"
        talk()
        assert manager.shown()["status"] == "active"


def test_what_a_silent_manager_held_waits_again_in_its_old_place(archive: Any, api: Http) -> None:
    ids = add(api, 3)
    silent, other = Manager(api), Manager(api)
    silent.claim(2)
    other.claim(1)
    silence(archive.conninfo, silent)
    assert api.statuses(ids) == ["waiting", "waiting", "running"]
    assert api.record(ids[0])["manager_name"] is None
    newer = add(api)
    assert [t["record_id"] for t in other.claim()] == [*ids[:2], *newer]
    attempts = sql(archive.conninfo, "SELECT record_id, outcome, worker_id FROM attempt ORDER BY 1")
    assert attempts == [(i, "lost", silent.id) for i in ids[:2]]


def test_what_a_manager_never_got_to_know_of_waits_again(archive: Any, api: Http) -> None:
    ids = add(api, 2)
    manager = Manager(api)
    known, _ = manager.claim()
    assert manager.beat(running=[known["id"]]) == {"stop": []}
    assert api.statuses(ids) == ["running", "running"], "the answer to the claim may still be on its way"
    sql(archive.conninfo, "UPDATE record SET claimed_at = claimed_at - interval '3 minutes'")
    assert manager.beat(running=[known["id"]]) == {"stop": []}
    assert api.statuses(ids) == ["running", "waiting"]


def test_a_farewell_in_disorder_counts_as_lost(archive: Any, api: Http) -> None:
    add(api)
    manager = Manager(api)
    manager.claim()
    manager.beat("inactive", lost=True)
    assert sql(archive.conninfo, "SELECT a.outcome, r.losses FROM attempt a JOIN record r ON r.id = a.record_id") == [
        ("lost", 1)
    ]


def lost(archive: Any, api: Http, times: int) -> list[str]:
    """Have everything that waits lost that often; the names of the managers it was lost with."""
    names = []
    for _ in range(times):
        manager = Manager(api)
        assert manager.claim()
        silence(archive.conninfo, manager)
        names.append(manager.name)
    return names


def test_five_losses_in_a_row_end_in_quarantine_with_the_list(archive: Any, api: Http) -> None:
    (record_id,) = add(api)
    names = lost(archive, api, 4)
    assert api.statuses([record_id]) == ["waiting"]
    assert api.record(record_id, "compute_history")["compute_history"] == []
    names += lost(archive, api, 1)
    record = api.record(record_id, "outputs")
    assert (record["status"], record["manager_name"]) == ("error", None)
    (entry,) = record["compute_history"]
    assert (entry["status"], entry["manager_name"], entry["provenance"]) == ("error", None, None)
    error = unpacked(entry["outputs"]["error"]["data"])
    assert error["error_type"] == "lost"
    assert "reset the record" in error["error_message"]
    assert [loss["manager_name"] for loss in error["extras"]["losses"]] == names
    assert [loss["attempt"] for loss in error["extras"]["losses"]] == [1, 2, 3, 4, 5]


def test_a_reset_gives_a_quarantined_record_five_more_tries(archive: Any, api: Http) -> None:
    (record_id,) = add(api)
    lost(archive, api, 5)
    api.patch("records", {"record_ids": [record_id], "status": "waiting"})
    lost(archive, api, 4)
    assert api.statuses([record_id]) == ["waiting"]
    assert claim_and_return(Manager(api)) == [record_id]


def test_an_answer_of_any_kind_forgets_earlier_losses(archive: Any, api: Http) -> None:
    (record_id,) = add(api)
    lost(archive, api, 4)
    manager = Manager(api)
    (task,) = manager.claim()
    manager.give({task["id"]: failure()})
    api.patch("records", {"record_ids": [record_id], "status": "waiting"})
    lost(archive, api, 4)
    assert api.statuses([record_id]) == ["waiting"]


def test_a_late_success_heals_a_quarantined_record(archive: Any, api: Http) -> None:
    (record_id,) = add(api)
    lost(archive, api, 4)
    manager = Manager(api)
    (task,) = manager.claim()
    silence(archive.conninfo, manager)
    assert api.statuses([record_id]) == ["error"]
    assert manager.give_one(task["id"], failure()) == "Task is not in a running state"
    assert manager.give_one(task["id"], make_result(task)) is None
    record = api.record(record_id, "compute_history")
    assert record["status"] == "complete"
    assert [h["status"] for h in record["compute_history"]] == ["error", "complete"]
