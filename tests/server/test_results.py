"""What returned results and failures write, and how it is shown."""

from __future__ import annotations

import lzma
import math
from typing import Any

import msgspec
import pytest
import zstandard
from tests.factories import SPEC, Http, claimed, failure, make_molecule, make_result, moved, started, unpacked


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server: each works under a tag of its own."""
    return shared_api


def test_a_finished_single_point_shows_what_was_computed(api: Http) -> None:
    manager, task = started(api)
    result = make_result(
        task, stdout="all is well", native_files={"input.dat": "text", "orbitals": b"\x00\x01"}, wavefunction=None
    )
    assert manager.give_one(task["id"], result) is None
    record = api.get(f"records/singlepoint/{task['record_id']}", include="**")
    assert record["status"] == "complete"
    assert record["manager_name"] == manager.name
    assert record["properties"] == {
        "return_result": -2.5,
        "hf total energy": -2.5,
        "return_energy": -2.5,
        "calcinfo_natom": 2,
    }
    assert record["extras"] == {"mine": {"deep": [1, 2]}}
    assert record["task"] is None
    assert record["wavefunction"] is None
    (entry,) = record["compute_history"]
    assert (entry["status"], entry["manager_name"]) == ("complete", manager.name)
    assert entry["provenance"]["wall_time"] == 3.0
    assert entry["modified_on"] == record["modified_on"]
    assert set(entry["outputs"]) == {"stdout"}
    files = {n: unpacked(f["data"], f["compression_type"]) for n, f in record["native_files"].items()}
    assert files == {"input.dat": "text", "orbitals": b"\x00\x01"}


def test_moved_outputs_are_stored_as_plain_ones_are(api: Http) -> None:
    manager, (plain, other) = claimed(api, "singlepoint", "singlepoint")
    parts = {"stdout": "out", "stderr": "err", "native_files": {"input": "text"}}
    manager.give({plain["id"]: make_result(plain, **parts), other["id"]: moved(make_result(other, **parts))})
    shown = []
    for task in (plain, other):
        record = api.record(task["record_id"], "outputs", "native_files")
        outputs = {k: unpacked(o["data"]) for k, o in record["compute_history"][0]["outputs"].items()}
        shown.append((outputs, unpacked(record["native_files"]["input"]["data"]), record["extras"]))
    assert shown[0] == shown[1] == ({"stdout": "out", "stderr": "err"}, "text", {"mine": {"deep": [1, 2]}})


def test_outputs_in_other_compressions_are_served_as_sized_zstd(api: Http) -> None:
    manager, task = started(api)
    packed_text = msgspec.msgpack.encode("hello")
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(packed_text)
    outputs = {
        "stdout": {"compression_type": "lzma", "data": lzma.compress(packed_text)},
        "stderr": {"compression_type": "none", "data": packed_text},
        "error": {"compression_type": "zstd", "data": unsized},
    }
    assert manager.give_one(task["id"], make_result(task, extras={"_qcfractal_compressed_outputs": outputs})) is None
    stored = api.record(task["record_id"], "outputs")["compute_history"][0]["outputs"]
    assert {k: unpacked(o["data"], o["compression_type"]) for k, o in stored.items()} == dict.fromkeys(outputs, "hello")


def test_numbers_that_are_none_and_nul_characters_do_not_stop_a_result(api: Http) -> None:
    manager, task = started(api)
    result = make_result(
        task,
        return_result=math.nan,
        properties={"x": math.inf, "t": "a\0b"},
        extras={"y": [-math.inf], "k\0": "\\u0000"},
    )
    assert manager.give_one(task["id"], result) is None
    for encoding in ("application/json", "application/msgpack"):
        body = {"ids": [task["record_id"]]}
        (record,) = api.post("records/singlepoint/bulkGet", body, encoding=encoding)
        assert record["properties"] == {"return_result": None, "x": None, "t": "ab"}
        assert record["extras"] == {"y": [None], "k": "\\u0000"}


@pytest.mark.parametrize("driver", ["gradient", "hessian", "properties"])
def test_results_of_every_driver_are_kept_as_returned(shared_api: Http, driver: str) -> None:
    manager, task = started(shared_api, spec={**SPEC, "driver": driver})
    result = make_result(task)
    assert manager.give_one(task["id"], result) is None
    assert shared_api.record(task["record_id"])["properties"]["return_result"] == result["return_result"]


def test_a_failure_leaves_its_error_and_all_that_was_printed(api: Http) -> None:
    manager, task = started(api)
    inner = {"stdout": "inner", "stderr": "warned", "error": {"error_type": "x", "error_message": "y"}}
    error = {"error_type": "input_error", "error_message": "no\0pe", "extras": {"failed_result": inner}}
    assert manager.give_one(task["id"], failure(error=error, input_data={"stdout": "outer", "stderr": ""})) is None
    record = api.record(task["record_id"], "outputs", "task")
    assert (record["status"], record["properties"], record["manager_name"]) == ("error", None, manager.name)
    (entry,) = record["compute_history"]
    assert (entry["status"], entry["provenance"]) == ("error", None)
    outputs = {k: unpacked(o["data"]) for k, o in entry["outputs"].items()}
    assert outputs["error"] == error
    assert outputs["stdout"] == "outer\n\n===== nested failure =====\n\ninner"
    assert outputs["stderr"] == "warned"
    assert record["task"]["id"] == task["id"]
    assert manager.shown()["failures"] == 1


def test_the_smallest_failure_is_a_failure(api: Http) -> None:
    manager, task = started(api)
    assert manager.give_one(task["id"], {"success": False}) is None
    (entry,) = api.record(task["record_id"], "outputs")["compute_history"]
    assert unpacked(entry["outputs"]["error"]["data"])["error_type"] == "not_supplied"


def test_a_finished_optimization_has_its_path_as_children(api: Http) -> None:
    manager, task = started(api, kind="optimization")
    result = make_result(task)
    for n, step in enumerate(result["trajectory"]):
        step |= {"stdout": f"step {n}", "native_files": {"input": f"file {n}"}}
    assert manager.give_one(task["id"], moved(result)) is None
    record = api.record(task["record_id"])
    assert record["energies"] == [-1.0, -1.5]
    assert record["properties"] == {}
    final = api.get(f"molecules/{record['final_molecule_id']}")
    assert final["geometry"] == result["final_molecule"]["geometry"]
    steps = api.get(f"records/optimization/{record['id']}/trajectory")
    assert len(steps) == 2
    for n, step in enumerate(steps):
        child = api.get(f"records/singlepoint/{step}", include="**")
        assert (child["status"], child["manager_name"]) == ("complete", None)
        assert child["specification"]["driver"] == "gradient"
        assert child["specification"]["program"] == "psi4"
        assert child["properties"]["return_result"] == [0.125] * 6
        assert child["molecule"]["geometry"] == result["trajectory"][n]["molecule"]["geometry"]
        (entry,) = child["compute_history"]
        assert entry["manager_name"] is None
        assert unpacked(entry["outputs"]["stdout"]["data"]) == f"step {n}"
        assert unpacked(child["native_files"]["input"]["data"]) == f"file {n}"
    assert api.get(f"records/optimization/{record['id']}/children_status") == {"complete": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"final_molecule": None},
        {"final_molecule": {"symbols": ["He"], "geometry": [0.0, 0.0, math.nan], "validated": True}},
        {"energies": [math.nan]},
        {"energies": ["low"]},
        {"trajectory": [{"success": True}]},
    ],
)
def test_an_optimization_that_makes_no_sense_is_refused(shared_api: Http, change: dict[str, Any]) -> None:
    manager, task = started(shared_api, kind="optimization")
    assert manager.give_one(task["id"], make_result(task, **change)) is not None
    assert shared_api.statuses([task["record_id"]]) == ["error"]


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": {"creator": ""}},
        {"provenance": {"creator": "a\0b"}},
        {"provenance": {}},
        {"driver": "faster"},
        {"model": {"method": "", "basis": None}},
        {"model": {"method": "hf", "basis": {"name": "sto-3g"}}},
        {"protocols": {"unknown": 1}},
        {"molecule": {"symbols": ["He"], "geometry": [0.0]}},
        {"return_result": [1.0]},
    ],
)
def test_a_step_that_makes_no_sense_refuses_the_optimization(shared_api: Http, change: dict[str, Any]) -> None:
    manager, task = started(shared_api, kind="optimization")
    result = make_result(task)
    result["trajectory"][1] |= change
    assert manager.give_one(task["id"], result) is not None
    assert shared_api.statuses([task["record_id"]]) == ["error"]
    assert shared_api.get(f"records/optimization/{task['record_id']}/trajectory") == []


def test_equal_steps_of_different_optimizations_share_molecules_but_not_records(api: Http) -> None:
    molecules = [make_molecule()] * 2
    manager, tasks = claimed(api, "optimization", molecules=molecules, find_existing=False)
    manager.give({t["id"]: make_result(t) for t in tasks})
    paths = [api.get(f"records/optimization/{t['record_id']}/trajectory") for t in tasks]
    assert not set(paths[0]) & set(paths[1])
    assert api.record(paths[0][0])["molecule_id"] == api.record(paths[1][0])["molecule_id"]


def test_a_batch_of_all_sorts_is_stored_at_once(api: Http) -> None:
    manager, tasks = claimed(api, "singlepoint", "singlepoint", "optimization", "optimization")
    answer = manager.give({t["id"]: failure() if n % 2 else make_result(t) for n, t in enumerate(tasks)})
    assert answer["accepted_ids"] == [t["id"] for t in tasks]
    assert api.statuses([t["record_id"] for t in tasks]) == ["complete", "error", "complete", "error"]
    shown = manager.shown()
    assert (shown["claimed"], shown["successes"], shown["failures"], shown["rejected"]) == (4, 2, 2, 0)


def test_an_error_that_is_reset_and_then_succeeds_keeps_both_in_its_history(api: Http) -> None:
    manager, task = started(api)
    manager.give({task["id"]: failure()})
    api.patch("records", {"record_ids": [task["record_id"]], "status": "waiting"})
    (again,) = manager.claim()
    assert again["id"] != task["id"]
    manager.give({again["id"]: make_result(again)})
    history = api.get(f"records/singlepoint/{task['record_id']}/compute_history")
    assert [h["status"] for h in history] == ["error", "complete"]
