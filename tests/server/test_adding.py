"""Adding records: what is new, what is found, and what is refused as a whole."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.factories import OPTIMIZATION, SPEC, Http, Manager, add, claim_and_return, http, make_molecule, sql


def body(*molecules: Any, **more: Any) -> dict[str, Any]:
    return {"specification": SPEC, "molecules": list(molecules), "compute_tag": "*", "compute_priority": 1, **more}


def test_new_records_wait_and_belong_to_nobody(api: Http) -> None:
    meta, ids = api.post("records/singlepoint/bulkCreate", body(make_molecule(1), make_molecule(2)))
    assert meta == {"error_description": None, "errors": [], "inserted_idx": [0, 1], "existing_idx": []}
    assert ids == sorted(ids)
    record = api.record(ids[0], "task", "compute_history", "comments", "native_files", "service")
    assert record["status"] == "waiting"
    assert record["properties"] is None
    assert record["extras"] == {}
    assert record["manager_name"] is None
    assert record["owner_user"] is None
    assert record["is_service"] is False
    assert record["compute_history"] == []
    assert record["comments"] == []
    assert record["native_files"] == {}
    assert record["service"] is None
    assert record["task"]["function"] is None
    assert record["task"]["required_programs"] == ["psi4", "qcengine"]
    assert record["task"]["tag"] == "*"
    assert record["task"]["priority"] == 1


def test_repeats_in_one_call_are_one_record(api: Http) -> None:
    one, other = make_molecule(1), make_molecule(2)
    meta, ids = api.post("records/singlepoint/bulkCreate", body(one, other, one))
    assert meta["inserted_idx"] == [0, 1]
    assert meta["existing_idx"] == [2]
    assert ids[0] == ids[2] != ids[1]


def test_repeats_are_separate_records_without_find_existing(api: Http) -> None:
    one = make_molecule(1)
    meta, ids = api.post("records/singlepoint/bulkCreate", body(one, one, find_existing=False))
    assert meta["inserted_idx"] == [0, 1]
    assert len(set(ids)) == 2


def test_what_is_there_is_returned_as_it_is(api: Http) -> None:
    (record_id,) = add(api, molecules=[make_molecule(1)], compute_tag="Slow", compute_priority="high")
    meta, ids = api.post("records/singlepoint/bulkCreate", body(make_molecule(1), compute_tag="quick"))
    assert ids == [record_id]
    assert meta["existing_idx"] == [0]
    task = api.get(f"records/singlepoint/{record_id}/task")
    assert (task["tag"], task["priority"]) == ("slow", 2)


def test_even_a_deleted_record_is_found_but_a_live_one_first(api: Http) -> None:
    (old,) = add(api, molecules=[make_molecule(1)])
    api.post("records/bulkDelete", {"record_ids": [old], "soft_delete": True, "delete_children": True})
    assert add(api, molecules=[make_molecule(1)]) == [old]
    (new,) = add(api, molecules=[make_molecule(1)], find_existing=False)
    assert add(api, molecules=[make_molecule(1)]) == [new]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"method": "HF"}, True),
        ({"program": "PSI4"}, True),
        ({"basis": "STO-3G"}, True),
        ({"keywords": {}, "protocols": {}}, True),
        ({"protocols": {"stdout": True, "wavefunction": "none", "error_correction": {"policies": {}}}}, True),
        ({"protocols": {"wavefunction": "all"}}, False),
        ({"keywords": {"maxiter": 1}}, False),
        ({"driver": "gradient"}, False),
        ({"basis": None}, False),
    ],
)
def test_equal_content_is_the_same_record(shared_api: Http, change: dict[str, Any], same: bool) -> None:
    molecule = make_molecule(1)
    (first,) = add(shared_api, molecules=[molecule])
    (second,) = add(shared_api, molecules=[molecule], spec={**SPEC, **change})
    assert (first == second) is same


def test_an_empty_basis_is_no_basis_and_key_order_does_not_matter(shared_api: Http) -> None:
    molecule = make_molecule(1)
    spec = {**SPEC, "program": "xtb", "basis": "", "keywords": {"a": 1, "b": {"c": 2, "d": 3}}}
    other = {**spec, "basis": None, "keywords": {"b": {"d": 3, "c": 2}, "a": 1}}
    assert add(shared_api, molecules=[molecule], spec=spec) == add(shared_api, molecules=[molecule], spec=other)


def test_one_and_one_point_zero_are_different_keywords(shared_api: Http) -> None:
    molecule = make_molecule(1)
    ids = {add(shared_api, molecules=[molecule], spec={**SPEC, "keywords": {"x": x}})[0] for x in (1, 1.0)}
    assert len(ids) == 2


def test_an_optimization_ignores_driver_and_protocols_of_its_inner_computation(shared_api: Http) -> None:
    inner = {**SPEC, "driver": "deferred", "protocols": {"wavefunction": "all"}}
    molecule = make_molecule(1)
    one = add(shared_api, kind="optimization", molecules=[molecule])
    two = add(shared_api, kind="optimization", molecules=[molecule], spec={**OPTIMIZATION, "qc_specification": inner})
    assert one == two
    shown = shared_api.record(one[0])["specification"]["qc_specification"]
    assert (shown["driver"], shown["protocols"]) == ("deferred", {})


def test_molecules_may_be_ids_and_objects_in_one_call(api: Http) -> None:
    _, (known,) = api.post("molecules/bulkCreate", [make_molecule(1)])
    _, ids = api.post("records/singlepoint/bulkCreate", body(known, make_molecule(1), make_molecule(2)))
    assert ids[0] == ids[1]
    assert api.record(ids[0])["molecule_id"] == known


def test_unknown_molecule_ids_leave_nothing_behind(archive: Any, api: Http) -> None:
    meta, ids = api.post("records/singlepoint/bulkCreate", body(make_molecule(1), 4711))
    assert ids == []
    assert meta["inserted_idx"] == meta["existing_idx"] == []
    assert "4711" in meta["error_description"]
    for table in ("record", "molecule", "specification", "requirement"):
        assert sql(archive.conninfo, f"SELECT count(*) FROM {table}") == [(0,)], table


def test_nothing_to_add_is_no_error(api: Http) -> None:
    meta, ids = api.post("records/singlepoint/bulkCreate", body())
    assert meta["error_description"] is None
    assert ids == []


def test_more_than_the_limit_is_refused(shared_api: Http) -> None:
    refusal = shared_api.refused("POST", "/api/v1/records/singlepoint/bulkCreate", body(*[1] * 501))
    assert refusal.status == 400
    assert refusal.reply["code"] == "limit_exceeded"
    assert refusal.reply["msg"] == "Cannot add 501 singlepoint records - limit is 500"


def test_older_names_of_tag_and_priority_are_understood(api: Http) -> None:
    old = {"specification": SPEC, "molecules": [make_molecule(1)], "tag": "Old", "priority": 0, "owner_group": "x"}
    _, (record_id,) = api.post("records/singlepoint/bulkCreate", old)
    task = api.get(f"records/singlepoint/{record_id}/task")
    assert (task["tag"], task["priority"]) == ("old", 0)


def test_demanded_program_versions_make_another_record(api: Http) -> None:
    molecule = make_molecule(1)
    plain = add(api, molecules=[molecule])
    demanding = add(api, molecules=[molecule], program_versions={"Psi4": ">= 1.8"})
    assert plain != demanding
    assert add(api, molecules=[molecule], program_versions={"psi4": ">=1.8"}) == demanding
    assert add(api, molecules=[molecule], program_versions={"psi4": ""}) == plain


@pytest.mark.parametrize("demands", [{"psi4": "new"}, {"nwchem": ">=7"}])
def test_senseless_version_demands_are_refused(shared_api: Http, demands: dict[str, str]) -> None:
    sent = body(make_molecule(1), program_versions=demands)
    refusal = shared_api.refused("POST", "/api/v1/records/singlepoint/bulkCreate", sent)
    assert refusal.reply["code"] == "invalid_specification"


def test_concurrent_adders_agree_on_one_record_each(archive: Any, api: Http) -> None:
    molecules = [make_molecule(n) for n in range(30)]
    found: list[list[int]] = []
    start = threading.Barrier(6)

    def adder(order: int) -> None:
        mine = molecules[:: 1 if order % 2 else -1]
        with http(archive.address) as own:
            start.wait()
            ids = add(own, molecules=mine)
        found.append(ids if order % 2 else ids[::-1])

    threads = [threading.Thread(target=adder, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(ids == found[0] for ids in found)
    assert sql(archive.conninfo, "SELECT count(*), count(DISTINCT identity) FROM record_identity") == [(30, 30)]
    assert sql(archive.conninfo, "SELECT count(*) FROM molecule") == [(30,)]


def test_a_step_of_a_trajectory_is_found_when_the_same_single_point_is_added(api: Http) -> None:
    (parent,) = add(api, kind="optimization")
    claim_and_return(Manager(api))
    step = api.get(f"records/optimization/{parent}/trajectory")[0]
    record = api.record(step)
    assert add(api, molecules=[record["molecule_id"]], spec=record["specification"]) == [step]
