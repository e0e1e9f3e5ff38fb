"""Composite records: started, advanced, ended; stopped and started again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acting import children as relatives
from tests.acting import do
from tests.archive import Archive
from tests.factories import (
    SPEC,
    Http,
    Manager,
    claim_and_return,
    failure,
    make_molecule,
    make_result,
    sql,
    unpacked,
)
from tests.ticking import tick

from qchive.kinds import KINDS, Kind

OPT = {"program": "geometric", "qc_specification": SPEC}
BOTH = {"singlepoint_specification": SPEC, "optimization_specification": OPT}


def add_reaction(api: Http, spec: Any = None, molecules: Any = None, **more: Any) -> int:
    molecules = molecules or [make_molecule(), make_molecule()]
    body = {
        "specification": spec or {"singlepoint_specification": SPEC},
        "stoichiometries": [[[n + 1.0, m] for n, m in enumerate(molecules)]],
        "compute_tag": "t",
        "compute_priority": 2,
        **more,
    }
    meta, ids = api.post("records/reaction/bulkCreate", body)
    assert meta["error_description"] is None, meta
    (record_id,) = ids
    return int(record_id)


def children(api: Http, record_id: int) -> list[int]:
    service = api.get(f"records/reaction/{record_id}/service")
    return [d["record_id"] for d in service["dependencies"]]


def test_a_reaction_runs_to_its_end(archive: Archive, api: Http) -> None:
    record_id = add_reaction(api, BOTH)
    assert api.record(record_id)["status"] == "waiting"
    tick(archive.conninfo)
    assert api.record(record_id)["status"] == "running"
    optimizations = children(api, record_id)
    assert len(optimizations) == 2
    manager = Manager(api, tags=["t"])
    tasks = manager.claim(10)
    assert sorted(t["record_id"] for t in tasks) == sorted(optimizations)
    assert {(t["tag"], t["priority"]) for t in tasks} == {("t", 2)}
    manager.give({t["id"]: make_result(t) for t in tasks})
    tick(archive.conninfo)
    singlepoints = children(api, record_id)
    assert not set(singlepoints) & set(optimizations)
    assert sorted(claim_and_return(manager)) == sorted(singlepoints)
    tick(archive.conninfo)
    names = ["*", "components", "compute_history", "outputs", "progress", "service"]
    record = api.get(f"records/reaction/{record_id}", include=names)
    assert api.get(f"records/reaction/{record_id}/components") == record["components"]
    assert record["status"] == "complete"
    assert record["total_energy"] == pytest.approx(3 * -2.5)
    assert [c["singlepoint_id"] for c in record["components"]] == singlepoints
    assert record["components"][0]["molecule"]["symbols"] == ["He", "He"]
    assert record["service"] is None
    (entry,) = record["compute_history"]
    assert entry["status"] == "complete"
    assert set(entry["outputs"]) == {"stdout"}
    assert record["progress"]["children"] == {"complete": 4}


def test_a_failed_child_fails_its_record_when_the_others_have_ended(archive: Archive, api: Http) -> None:
    record_id = add_reaction(api)
    manager = Manager(api, tags=["t"])
    tick(archive.conninfo)
    first, second = manager.claim()
    manager.give_one(first["id"], failure())
    tick(archive.conninfo)
    assert api.record(record_id)["status"] == "running"
    manager.give_one(second["id"], make_result(second))
    tick(archive.conninfo)
    record = api.record(record_id, "compute_history", "outputs")
    assert record["status"] == "error"
    (entry,) = record["compute_history"]
    error = unpacked(entry["outputs"]["error"]["data"])
    assert error["error_type"] == "service_iteration_error"
    assert str(first["record_id"]) in error["error_message"]
    assert api.get(f"records/reaction/{record_id}/children_status") == {"complete": 1, "error": 1}
    answer = do(api, "reset", record_id)
    assert relatives(answer) == 1
    assert api.statuses([record_id, first["record_id"]]) == ["waiting", "waiting"]
    tick(archive.conninfo)
    assert claim_and_return(manager) == [first["record_id"]]
    tick(archive.conninfo)
    record = api.record(record_id, "compute_history")
    assert record["status"] == "complete"
    assert [e["status"] for e in record["compute_history"]] == ["error", "complete"]


def test_a_cancelled_record_goes_on_where_it_was(archive: Archive, api: Http) -> None:
    record_id = add_reaction(api, BOTH)
    manager = Manager(api, tags=["t"])
    tick(archive.conninfo)
    first = manager.claim(1)[0]
    manager.give_one(first["id"], make_result(first))
    answer = do(api, "cancel", record_id)
    assert relatives(answer) == 1
    tick(archive.conninfo)
    assert api.record(record_id)["status"] == "cancelled"
    assert api.get(f"records/reaction/{record_id}/service") is not None
    assert relatives(do(api, "uncancel", record_id)) == 1
    tick(archive.conninfo)
    assert len(claim_and_return(manager)) == 1
    tick(archive.conninfo)
    assert len(claim_and_return(manager)) == 2
    tick(archive.conninfo)
    record = api.record(record_id, "compute_history", "outputs")
    assert record["status"] == "complete"
    (entry,) = record["compute_history"]
    assert "Restarting service" in unpacked(entry["outputs"]["stdout"]["data"])


def test_cancelling_a_child_cancels_its_record_and_that_comes_back(archive: Archive, api: Http) -> None:
    record_id = add_reaction(api)
    tick(archive.conninfo)
    first, second = children(api, record_id)
    do(api, "cancel", first)
    assert api.statuses([record_id, first, second]) == ["cancelled"] * 3
    do(api, "uncancel", record_id)
    tick(archive.conninfo)
    claim_and_return(Manager(api, tags=["t"]))
    tick(archive.conninfo)
    assert api.statuses([record_id]) == ["complete"]


def test_new_tag_and_priority_reach_what_it_waits_for(archive: Archive, api: Http) -> None:
    record_id = add_reaction(api)
    tick(archive.conninfo)
    answer = do(api, "modify", record_id, compute_tag="Other", compute_priority=0)
    assert (answer["updated_idx"], relatives(answer)) == ([0], 2)
    assert {(t["tag"], t["priority"]) for t in Manager(api, tags=["other"]).claim()} == {("other", 0)}
    service = api.get(f"records/reaction/{record_id}/service")
    assert (service["tag"], service["priority"]) == ("other", 0)


def test_finished_computations_are_shared(archive: Archive, api: Http) -> None:
    molecules = [make_molecule(), make_molecule()]
    first = add_reaction(api, molecules=molecules)
    tick(archive.conninfo)
    claim_and_return(Manager(api, tags=["t"]))
    tick(archive.conninfo)
    same = add_reaction(api, molecules=molecules)
    assert same == first
    other = add_reaction(api, molecules=[*molecules, molecules[0]])  # other coefficients
    assert other != first
    tick(archive.conninfo)
    assert api.statuses([other]) == ["complete"]
    alone = add_reaction(api, molecules=molecules, find_existing=False)
    tick(archive.conninfo)
    assert api.statuses([alone]) == ["running"]


def test_many_records_advance_together(archive: Archive, api: Http) -> None:
    ids = [add_reaction(api) for _ in range(10)]
    tick(archive.conninfo)
    manager = Manager(api, tags=["t"])
    claim_and_return(manager)
    claim_and_return(manager)
    tick(archive.conninfo)
    assert api.statuses(ids) == ["complete"] * 10
    assert sql(archive.conninfo, "SELECT count(*) FROM flow") == [(0,)]


COMPOSITE = [kind for kind in KINDS.values() if kind.is_service]


@pytest.mark.parametrize("kind", COMPOSITE, ids=lambda kind: kind.name)
def test_the_same_again_is_found(shared_api: Http, kind: Kind) -> None:
    body = {**kind.example, "compute_tag": "*", "compute_priority": 1}
    _, first = shared_api.post(f"records/{kind.name}/bulkCreate", body)
    meta, again = shared_api.post(f"records/{kind.name}/bulkCreate", body)
    assert (first, meta["existing_idx"]) == (again, list(range(len(again))))
    meta, other = shared_api.post(f"records/{kind.name}/bulkCreate", {**body, "find_existing": False})
    assert not set(other) & set(first)
    assert meta["inserted_idx"] == list(range(len(other)))
    record = shared_api.get(f"records/{kind.name}/{first[0]}", include="**")
    assert "progress" not in record
    assert record["service"]["find_existing"] is True
    assert shared_api.get(f"records/{kind.name}/{other[0]}/service")["find_existing"] is False
    assert shared_api.get(f"records/{kind.name}/{first[0]}", include="progress")["progress"]["children"] == {}


def test_a_torsion_drive_is_the_set_of_its_molecules(shared_api: Http) -> None:
    (turned,) = KINDS["torsiondrive"].example["initial_molecules"]
    other = {**turned[0], "geometry": [*turned[0]["geometry"][:-1], turned[0]["geometry"][-1] + 0.01]}
    body = {**KINDS["torsiondrive"].example, "compute_tag": "*", "compute_priority": 1, "as_service": True}
    ways = [[turned[0], other], [other, turned[0]], [other, other, turned[0]]]
    _, ids = shared_api.post("records/torsiondrive/bulkCreate", {**body, "initial_molecules": ways})
    assert len(set(ids)) == 1
    assert len(shared_api.get(f"records/torsiondrive/{ids[0]}/initial_molecules")) == 2
    keywords = {"dihedrals": [[0, 1, 2, 7]], "grid_spacing": [30]}
    wrong = {**body, "specification": {**body["specification"], "keywords": keywords}}
    meta, ids = shared_api.post("records/torsiondrive/bulkCreate", wrong)
    assert ids == []
    assert "[0, 1, 2, 7] is outside of the molecule" in meta["error_description"]


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("torsiondrive", {"optimization_program": ["geometric"], "qc_program": ["tblite"]}),
        ("gridoptimization", {"qc_method": ["GFN2-xTB"], "qc_basis": [None]}),
        ("reaction", {"qc_method": ["gfn2-xtb"]}),
        ("neb", {"program": ["geometric"], "qc_program": ["tblite"]}),
        ("manybody", {"program": ["qcmanybody"]}),
    ],
)
def test_composite_records_are_found_by_what_is_behind_them(shared_api: Http, kind: str, query: dict[str, Any]) -> None:
    body = {**KINDS[kind].example, "compute_tag": "*", "compute_priority": 1}
    _, (record_id, *_) = shared_api.post(f"records/{kind}/bulkCreate", body)
    query = {"optimization_program": None, **query} if kind in ("torsiondrive", "gridoptimization") else query
    assert record_id in shared_api.post(f"records/{kind}/query", query)
    nothing = {name: ["none of these"] for name in query}
    assert shared_api.post(f"records/{kind}/query", nothing) == []


def test_every_level_of_a_many_body_expansion_is_searched(shared_api: Http) -> None:
    example = KINDS["manybody"].example
    low = {"program": "psi4", "driver": "energy", "method": "scf", "basis": "sto-3g"}
    high = {**low, "method": "mp2", "basis": None}
    spec = {**example["specification"], "levels": {"1": high, "2": low}}
    body = {**example, "specification": spec, "compute_tag": "*", "compute_priority": 1}
    _, (record_id,) = shared_api.post("records/manybody/bulkCreate", body)
    for query in ({"qc_method": ["mp2"]}, {"qc_method": ["scf"]}, {"qc_basis": [None]}, {"qc_basis": ["sto-3g"]}):
        assert record_id in shared_api.post("records/manybody/query", query), query
