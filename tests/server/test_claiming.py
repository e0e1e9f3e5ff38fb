"""Handing out tasks: the right ones, in the right order, each to one manager only."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.archive import prepared, running
from tests.factories import (
    OPTIMIZATION,
    PROGRAMS,
    SPEC,
    Http,
    Manager,
    add,
    http,
    make_molecule,
    sql,
    unpacked,
)

from qchive.api.tasks import task_id
from qchive.server.settings import Settings


def claimed(manager: Manager, limit: int = 100, **more: Any) -> list[int]:
    return [task["record_id"] for task in manager.claim(limit, **more)]


def test_a_claimed_record_runs_and_its_task_says_what_to_compute(api: Http) -> None:
    keywords = {"maxiter": 50, "guess": "SAD"}
    spec = {**SPEC, "driver": "gradient", "keywords": keywords, "protocols": {"wavefunction": "all"}}
    (record_id,) = add(api, spec=spec, compute_tag="Quick", compute_priority=2)
    manager = Manager(api)
    (task,) = manager.claim()
    assert set(task) == {
        "id", "record_id", "function", "function_kwargs_compressed", "required_programs", "tag", "priority"
    }  # fmt: skip
    assert task["id"] == task_id(record_id, 1)
    assert (task["function"], task["tag"], task["priority"]) == ("qcengine.compute", "quick", 2)
    assert task["required_programs"] == ["psi4", "qcengine"]
    kwargs = unpacked(task["function_kwargs_compressed"])
    given = kwargs["input_data"]
    assert kwargs["program"] == "psi4"
    assert given["schema_name"] == "qcschema_input"
    assert given["id"] == str(record_id)
    assert given["driver"] == "gradient"
    assert given["model"] == {"method": "hf", "basis": "sto-3g"}
    assert given["keywords"] == keywords
    assert given["protocols"] == {"wavefunction": "all"}
    assert given["extras"] == {}
    assert given["molecule"]["symbols"] == ["He", "He"]
    assert len(given["molecule"]["geometry"]) == 6
    record = api.record(record_id, "task")
    assert (record["status"], record["manager_name"]) == ("running", manager.name)
    assert record["task"]["function_kwargs_compressed"] == task["function_kwargs_compressed"]
    assert manager.shown()["claimed"] == 1


def test_the_task_of_an_optimization_names_its_inner_program(api: Http) -> None:
    spec = {**OPTIMIZATION, "keywords": {"maxsteps": 9, "program": "mine"}, "protocols": {"trajectory": "final"}}
    add(api, kind="optimization", spec=spec)
    (task,) = Manager(api).claim()
    assert task["function"] == "qcengine.compute_procedure"
    assert task["required_programs"] == ["geometric", "psi4", "qcengine"]
    kwargs = unpacked(task["function_kwargs_compressed"])
    given = kwargs["input_data"]
    assert kwargs["procedure"] == "geometric"
    assert given["schema_name"] == "qcschema_optimization_input"
    assert given["keywords"] == {"maxsteps": 9, "program": "psi4"}
    assert given["protocols"] == {"trajectory": "final"}
    assert given["input_specification"]["driver"] == "gradient"
    assert "protocols" not in given["input_specification"]


def test_tags_in_their_order_then_priority_then_age(api: Http) -> None:
    slow = [add(api, compute_tag="b", compute_priority=p)[0] for p in (0, 2, 2)]
    quick = [add(api, compute_tag="a", compute_priority=p)[0] for p in (1, 2)]
    manager = Manager(api, tags=["b", "a"])
    assert claimed(manager, 4) == [slow[1], slow[2], slow[0], quick[1]]
    assert claimed(manager, 4) == [quick[0]]


def test_the_oldest_comes_first_among_kinds_and_programs(api: Http) -> None:
    ids = []
    for n in range(6):
        spec = {**SPEC, "program": "xtb"} if n % 3 == 1 else None
        ids += add(api, kind="optimization" if n % 3 == 2 else "singlepoint", spec=spec)
    assert claimed(Manager(api)) == ids


def test_a_star_takes_any_tag_after_the_named_ones(api: Http) -> None:
    a, b, star = (add(api, compute_tag=tag)[0] for tag in ("a", "b", "*"))
    assert claimed(Manager(api, tags=["b", "*"])) == [b, a, star]


def test_a_star_is_only_itself_when_tags_are_strict(databases: Any) -> None:
    settings = Settings(strict_compute_tags=True)
    with prepared(databases) as conninfo, running(conninfo, settings) as server, http(server.address) as api:
        other, star = (add(api, compute_tag=tag)[0] for tag in ("a", "*"))
        assert claimed(Manager(api)) == [star]
        assert api.get(f"records/{other}/waiting_reason")["reason"] == "No manager matches programs & tags"
        assert api.post("managers/queryActive", {"programs": {"psi4": []}, "compute_tag": ["a"]}) == []


def test_work_for_other_programs_is_left(api: Http) -> None:
    psi4, xtb = add(api)[0], add(api, spec={**SPEC, "program": "xtb"})[0]
    optimization = add(api, kind="optimization")[0]
    assert claimed(Manager(api, programs={"qcengine": ["1"], "xtb": ["1"]})) == [xtb]
    assert claimed(Manager(api, programs={"QCEngine": ["1"], "PSI4": []})) == [psi4]
    assert api.statuses([optimization]) == ["waiting"]


def test_demanded_versions_are_compared_at_the_claim(api: Http) -> None:
    (record_id,) = add(api, program_versions={"psi4": ">=1.9,<2"})
    for versions in (["1.8"], [], ["unknown"], ["2.0"]):
        manager = Manager(api, programs={**PROGRAMS, "psi4": versions})
        assert claimed(manager) == []
    reason = api.get(f"records/{record_id}/waiting_reason")
    assert reason["reason"] == "No manager matches programs & tags"
    assert "psi4 <2,>=1.9 wanted, 1.8 there" in str(reason["details"])
    assert claimed(Manager(api, programs={**PROGRAMS, "psi4": ["1.8", "1.9.1"]})) == [record_id]


def test_a_claim_offers_only_what_was_announced(api: Http) -> None:
    add(api, spec={**SPEC, "program": "xtb"})
    add(api, compute_tag="b")
    manager = Manager(api, programs={"qcengine": ["1"], "psi4": ["1"]}, tags=["a"])
    assert manager.claim(programs=PROGRAMS, compute_tags=["a", "b", "*"]) == []
    for offer in ({"programs": {"xtb": ["1"]}}, {"compute_tags": ["b"]}, {"programs": {}}, {"compute_tags": []}):
        refusal = api.refused("POST", "/compute/v1/tasks/claim", manager.offer(limit=1, **offer))
        assert (refusal.status, refusal.reply["code"]) == (400, "manager_refused")
        assert "did not send any valid" in refusal.reply["msg"]


def test_an_unknown_manager_gets_nothing(api: Http) -> None:
    (record_id,) = add(api)
    stranger = Manager(api, activate=False)
    refusal = api.refused("POST", "/compute/v1/tasks/claim", stranger.offer(limit=1))
    assert (refusal.status, refusal.reply["code"]) == (400, "manager_refused")
    assert refusal.reply["msg"].startswith("Manager does not exist!")
    assert api.statuses([record_id]) == ["waiting"]


@pytest.mark.parametrize(("limit", "given"), [(-5, 0), (0, 0), (3, 3), (10**6, 5)])
def test_no_more_than_the_limit_is_handed_out(databases: Any, limit: int, given: int) -> None:
    settings = Settings(api_limits={"manager_tasks_claim": 5})
    with prepared(databases) as conninfo, running(conninfo, settings) as server, http(server.address) as api:
        add(api, 8)
        assert len(Manager(api).claim(limit)) == given


def test_older_spelling_of_tags_is_understood(api: Http) -> None:
    (record_id,) = add(api)
    manager = Manager(api)
    body = {"name_data": manager.name_data, "programs": PROGRAMS, "tags": ["*"], "limit": 1}
    assert [t["record_id"] for t in api.compute("tasks/claim", body)] == [record_id]


def test_many_claimers_at_once_share_the_work_without_overlap(archive: Any, api: Http) -> None:
    molecules = [make_molecule(n) for n in range(300)]
    ids = add(api, molecules=molecules)
    start = threading.Barrier(8)
    taken: list[tuple[str, list[int]]] = []

    def claimer() -> None:
        with http(archive.address) as own:
            manager = Manager(own)
            start.wait()
            mine: list[int] = []
            while found := claimed(manager, 13):
                mine += found
        taken.append((manager.name, mine))

    threads = [threading.Thread(target=claimer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(i for _, mine in taken for i in mine) == ids
    of = dict(sql(archive.conninfo, "SELECT r.id, w.name FROM record r JOIN worker w ON w.id = r.worker_id"))
    assert of == {i: name for name, mine in taken for i in mine}
