"""Looking at records: by id, what is shown of them, their sub-resources."""

from __future__ import annotations

from typing import Any

import pytest
from tests.factories import (
    SPEC,
    Http,
    Manager,
    add,
    claim_and_return,
    complete,
    failure,
    make_molecule,
    make_result,
    raw_bytes,
    sql,
    unpacked,
)

from qchive.kinds import KINDS

BASE = {
    "id", "record_type", "is_service", "status", "manager_name", "properties", "extras", "created_on", "modified_on",
    "owner_user", "specification",
}  # fmt: skip
OPTIMIZATION = {"initial_molecule_id", "final_molecule_id", "energies"}
WAVEFUNCTION = {"basis": {"name": "x", "description": None}, "restricted": True, "orbitals_a": "scf_orbitals_a"}


@pytest.fixture(scope="module")
def done(shared_api: Http) -> dict[str, int]:
    """One complete single point with everything a program can leave behind, one complete optimization."""
    spec = {**SPEC, "protocols": {"wavefunction": "all", "native_files": "all"}}
    (singlepoint,) = add(shared_api, spec=spec)
    (optimization,) = add(shared_api, kind="optimization")
    manager = Manager(shared_api)
    one, other = manager.claim()
    parts = {
        "stdout": "said",
        "native_files": {"a file.dat": "text"},
        "wavefunction": {**WAVEFUNCTION, "h_core_a": None},
    }
    manager.give({one["id"]: make_result(one, **parts), other["id"]: make_result(other)})
    return {"singlepoint": singlepoint, "optimization": optimization}


def keys(api: Http, path: str, **query: Any) -> set[str]:
    return set(api.get(path, **query))


def test_everything_plain_is_sent_without_a_projection(shared_api: Http, done: dict[str, int]) -> None:
    one, other = done["singlepoint"], done["optimization"]
    for query in ({}, {"include": "*"}, {"include": ["nonsense", "*"]}):
        assert keys(shared_api, f"records/singlepoint/{one}", **query) == BASE | {"molecule_id"}
        assert keys(shared_api, f"records/{one}", **query) == BASE | {"molecule_id"}
        assert keys(shared_api, f"records/optimization/{other}", **query) == BASE | OPTIMIZATION
        assert keys(shared_api, f"records/{other}", **query) == BASE | OPTIMIZATION


def test_named_parts_are_sent_alone(shared_api: Http, done: dict[str, int]) -> None:
    always = {"id", "record_type", "owner_user"}
    path = f"records/singlepoint/{done['singlepoint']}"
    assert keys(shared_api, path, include="status") == always | {"status"}
    assert keys(shared_api, path, include=["status", "nonsense", "molecule_id"]) == always | {"status", "molecule_id"}
    assert keys(shared_api, path, include="nonsense") == always


def test_excluded_parts_are_not_sent_and_the_id_always_is(shared_api: Http, done: dict[str, int]) -> None:
    path = f"records/singlepoint/{done['singlepoint']}"
    assert keys(shared_api, path, exclude=["id", "status", "specification"]) == (BASE | {"molecule_id"}) - {
        "status",
        "specification",
    }
    found = keys(shared_api, path, include="**", exclude=["compute_history", "molecule"])
    assert not found & {"compute_history", "molecule"}
    assert "wavefunction" in found


def test_two_stars_send_everything_of_the_endpoint(shared_api: Http, done: dict[str, int]) -> None:
    on_request = {"compute_history", "task", "service", "comments", "native_files"}
    one, other = done["singlepoint"], done["optimization"]
    typed = keys(shared_api, f"records/singlepoint/{one}", include="**")
    assert typed == BASE | on_request | {"molecule_id", "molecule", "wavefunction"}
    assert keys(shared_api, f"records/{one}", include="**") == BASE | on_request | {"molecule_id"}
    typed = keys(shared_api, f"records/optimization/{other}", include="**")
    assert typed == BASE | OPTIMIZATION | on_request | {"initial_molecule", "final_molecule", "trajectory_ids"}


def test_molecules_and_children_come_along_when_asked(shared_api: Http, done: dict[str, int]) -> None:
    body = {"ids": [done["optimization"]], "include": ["*", "molecules", "trajectory"]}
    (record,) = shared_api.post("records/optimization/bulkGet", body)
    assert record["initial_molecule"]["id"] == record["initial_molecule_id"]
    assert record["final_molecule"]["id"] == record["final_molecule_id"]
    assert record["trajectory_ids"] == shared_api.get(f"records/optimization/{record['id']}/trajectory")


def test_an_unfinished_optimization_has_no_final_molecule(shared_api: Http) -> None:
    (record_id,) = add(shared_api, kind="optimization")
    record = shared_api.get(f"records/optimization/{record_id}", include=["**"])
    assert record["final_molecule_id"] is None
    assert record["final_molecule"] is None
    assert record["energies"] is None
    assert record["trajectory_ids"] == []


def test_records_come_in_the_order_asked_for_with_repeats(shared_api: Http, done: dict[str, int]) -> None:
    one, other = done["singlepoint"], done["optimization"]
    found = shared_api.post("records/bulkGet", {"ids": [other, one, other]})
    assert [r["id"] for r in found] == [other, one, other]
    assert [r["record_type"] for r in found] == ["optimization", "singlepoint", "optimization"]


def test_missing_records_are_null_or_an_error(shared_api: Http, done: dict[str, int]) -> None:
    one, other = done["singlepoint"], done["optimization"]
    ids = [10**6, one, -1, 0, 2**63 - 1, other]
    found = shared_api.post("records/bulkGet", {"ids": ids, "missing_ok": True})
    assert [r and r["id"] for r in found] == [None, one, None, None, None, other]
    found = shared_api.post("records/singlepoint/bulkGet", {"ids": [other, one], "missing_ok": True})
    assert [r and r["id"] for r in found] == [None, one]
    for path, wanted in (("records/bulkGet", ids), ("records/singlepoint/bulkGet", [one, other])):
        refusal = shared_api.refused("POST", f"/api/v1/{path}", {"ids": wanted})
        assert refusal.status == 400
        assert refusal.reply["msg"] == "Could not find all requested records"
        assert refusal.reply["code"] == "not_found"
    for path in ("records/99999", "records/singlepoint/99999", f"records/singlepoint/{other}"):
        assert shared_api.refused("GET", f"/api/v1/{path}").reply["code"] == "not_found"


def test_no_more_records_than_the_limit_are_sent(shared_api: Http) -> None:
    refusal = shared_api.refused("POST", "/api/v1/records/bulkGet", {"ids": [1] * 1001, "missing_ok": True})
    assert (refusal.status, refusal.reply["code"]) == (400, "limit_exceeded")
    assert shared_api.post("records/bulkGet", {"ids": []}) == []


def test_outputs_native_files_and_wavefunction_are_served_in_every_form(shared_api: Http, done: dict[str, int]) -> None:
    record = f"records/singlepoint/{done['singlepoint']}"
    (entry,) = shared_api.get(f"{record}/compute_history")
    assert "outputs" not in entry
    history = f"{record}/compute_history/{entry['id']}"
    assert shared_api.get(history) == entry
    stored = {"output_type": "stdout", "compression_type": "zstd"}
    assert shared_api.get(f"{history}/outputs") == {"stdout": stored}
    assert shared_api.get(f"{history}/outputs/stdout") == stored
    assert unpacked(*shared_api.get(f"{history}/outputs/stdout/data")) == "said"
    assert shared_api.get(f"{history}/outputs/stdout/uncompressed_data") == "said"
    file = {"name": "a file.dat", "compression_type": "zstd"}
    assert shared_api.get(f"{record}/native_files") == {"a file.dat": file}
    assert shared_api.get(f"{record}/native_files/a%20file.dat") == file
    assert unpacked(*shared_api.get(f"{record}/native_files/a%20file.dat/data")) == "text"
    assert shared_api.get(f"{record}/native_files/a%20file.dat/uncompressed_data") == "text"
    assert shared_api.get(f"{record}/wavefunction") == {"compression_type": "zstd"}
    assert unpacked(*shared_api.get(f"{record}/wavefunction/data")) == WAVEFUNCTION
    whole = shared_api.get(record, include=["**"])
    assert unpacked(whole["native_files"]["a file.dat"]["data"]) == "text"
    assert unpacked(whole["wavefunction"]["data"]) == WAVEFUNCTION


@pytest.mark.parametrize(
    "path",
    ["outputs/stderr", "outputs/stderr/data", "outputs/nonsense/uncompressed_data", "outputs/stdout%00"],
)
def test_outputs_that_do_not_exist_are_refused(shared_api: Http, done: dict[str, int], path: str) -> None:
    record = f"records/singlepoint/{done['singlepoint']}"
    (entry,) = shared_api.get(f"{record}/compute_history")
    refusal = shared_api.refused("GET", f"/api/v1/{record}/compute_history/{entry['id']}/{path}")
    assert (refusal.status, refusal.reply["code"]) == (400, "not_found")


def test_files_belong_to_one_record(shared_api: Http, done: dict[str, int]) -> None:
    other = complete(shared_api, native_files={"a file.dat": "another"})
    value = shared_api.get(f"records/singlepoint/{other}/native_files/a%20file.dat/uncompressed_data")
    assert value == "another"
    bare = complete(shared_api)
    (entry,) = shared_api.get(f"records/singlepoint/{done['singlepoint']}/compute_history")
    for path in (
        f"records/singlepoint/{bare}/native_files/a%20file.dat",
        f"records/singlepoint/{bare}/native_files/a%20file.dat/data",
        f"records/singlepoint/{bare}/compute_history/{entry['id']}",
        f"records/singlepoint/{bare}/compute_history/{entry['id']}/outputs/stdout/data",
        f"records/singlepoint/{bare}/wavefunction/data",
    ):
        assert shared_api.refused("GET", f"/api/v1/{path}").reply["code"] == "not_found"


@pytest.mark.parametrize(
    "part",
    ["task", "service", "comments", "compute_history", "native_files", "wavefunction", "compute_history/1/outputs"],
)
def test_parts_of_a_record_that_does_not_exist_are_refused(shared_api: Http, part: str) -> None:
    refusal = shared_api.refused("GET", f"/api/v1/records/singlepoint/99999/{part}")
    assert (refusal.status, refusal.reply["code"]) == (400, "not_found")
    assert "99999" in refusal.reply["msg"]


def test_an_unknown_record_has_no_children(shared_api: Http) -> None:
    assert shared_api.get("records/optimization/99999/children_status") == {}
    assert shared_api.get("records/optimization/99999/children_errors") == []
    assert shared_api.refused("GET", "/api/v1/records/optimization/99999/trajectory").reply["code"] == "not_found"


def test_children_are_counted_by_status(archive: Any, api: Http) -> None:
    parent = complete(api, "optimization")
    _, second = api.get(f"records/optimization/{parent}/trajectory")
    sql(archive.conninfo, "UPDATE record SET status = 'error' WHERE id = %s", second)
    assert api.get(f"records/optimization/{parent}/children_status") == {"complete": 1, "error": 1}
    assert api.get(f"records/optimization/{parent}/children_errors") == [second]


def test_bytes_files_are_bytes_in_both_encodings(shared_api: Http) -> None:
    record_id = complete(shared_api, native_files={"orbitals": b"\xff\x00"})
    path = f"/api/v1/records/singlepoint/{record_id}/native_files/orbitals/uncompressed_data"
    assert raw_bytes(shared_api.ask("GET", path)) == b"\xff\x00"
    assert shared_api.ask("GET", path, encoding="application/msgpack") == b"\xff\x00"


def test_history_is_in_the_order_of_its_ends(shared_api: Http) -> None:
    add(shared_api)
    manager = Manager(shared_api)
    for _ in range(3):
        (task,) = manager.claim()
        manager.give({task["id"]: failure()})
        shared_api.patch("records", {"record_ids": [task["record_id"]], "status": "waiting"})
    claim_and_return(manager)
    history = shared_api.record(task["record_id"], "compute_history")["compute_history"]
    assert [h["status"] for h in history] == ["error", "error", "error", "complete"]
    assert [h["id"] for h in history] == sorted(h["id"] for h in history)


def test_comments_are_listed_oldest_first(shared_api: Http) -> None:
    (record_id,) = add(shared_api)
    for text in ("one", "two"):
        shared_api.patch("records", {"record_ids": [record_id], "comment": text})
    listed = shared_api.get(f"records/singlepoint/{record_id}/comments")
    assert [c["comment"] for c in listed] == ["one", "two"]
    assert shared_api.record(record_id, "comments")["comments"] == listed
    assert listed[0]["username"] is None


def test_a_record_says_why_it_waits(api: Http) -> None:
    def reason(record_id: int) -> tuple[str, Any]:
        answer = api.get(f"records/{record_id}/waiting_reason")
        return answer["reason"], answer.get("details")

    (record_id,) = add(api, compute_tag="x")
    assert reason(4711) == ("Record does not exist", None)
    assert reason(record_id) == ("No active managers", None)
    other = Manager(api, tags=["y"])
    lacking = Manager(api, tags=["x"], programs={"qcengine": ["1"]})
    gone = Manager(api)
    gone.beat("inactive")
    assert reason(record_id) == (
        "No manager matches programs & tags",
        {other.name: 'Manager does not handle tag "x"', lacking.name: "Manager missing programs: {'psi4'}"},
    )
    fit = Manager(api, tags=["y", "*"])
    text, details = reason(record_id)
    assert (text, details[fit.name]) == ("Waiting for a free manager", "Manager is busy")
    claim_and_return(fit)
    assert reason(record_id) == ("Record is not waiting", None)


def test_a_waiting_record_says_what_to_do_about_it(api: Http) -> None:
    def hint(record_id: int) -> str | None:
        return api.get(f"records/{record_id}/waiting_reason").get("hint")  # type: ignore[no-any-return]

    (tagged,) = add(api, compute_tag="x")
    (demanding,) = add(api, program_versions={"psi4": ">=2"})
    assert hint(tagged) == "Start one: `qchive worker`"
    Manager(api, tags=["y"])
    assert hint(tagged) == ('No active manager that could run it handles tag "x", only y: start one, or change the tag')
    assert hint(demanding) == (
        "No active manager has the versions demanded (psi4 >=2 wanted, 1.9 there): start one that has"
    )
    Manager(api, programs={"psi4": ["2.0"], "qcengine": ["0.52"]})
    assert hint(tagged) is None
    assert hint(demanding) is None


def test_a_step_of_a_trajectory_does_not_wait(api: Http) -> None:
    parent = complete(api, "optimization")
    step = api.get(f"records/optimization/{parent}/trajectory")[0]
    assert api.get(f"records/{step}/waiting_reason") == {"reason": "Record is not waiting"}


def test_a_waiting_record_without_a_task_is_a_fault(archive: Any, api: Http) -> None:
    (record_id,) = add(api)
    sql(archive.conninfo, "UPDATE record SET requirement_id = NULL")
    assert api.get(f"records/{record_id}/waiting_reason")["reason"] == "Missing task? This is a developer error"


def test_molecules_of_records_are_those_that_were_given(shared_api: Http) -> None:
    molecule = make_molecule(comment="mine", name="two atoms")
    (record_id,) = add(shared_api, molecules=[molecule])
    shown = shared_api.get(f"records/singlepoint/{record_id}", include="molecule")["molecule"]
    assert {k: shown[k] for k in ("geometry", "comment", "name")} == {
        k: molecule[k] for k in ("geometry", "comment", "name")
    }


def test_a_service_waits_for_no_manager(shared_api: Http) -> None:
    example = KINDS["reaction"].example
    body = {**example, "compute_tag": "*", "compute_priority": 1}
    _, (record_id,) = shared_api.post("records/reaction/bulkCreate", body)
    assert shared_api.get(f"records/{record_id}/waiting_reason") == {"reason": "Record is a service"}
