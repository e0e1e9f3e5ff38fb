"""Taking results back: what is kept, what is refused, and that no result suffers from another."""

from __future__ import annotations

import itertools
import lzma
import math
from typing import Any

import msgspec
import pytest
import zstandard
from tests.archive import prepared, running
from tests.factories import (
    SPEC,
    Http,
    Manager,
    add,
    failure,
    http,
    make_molecule,
    make_result,
    moved,
    packed,
    silence,
    sql,
    unpacked,
)

from qchive.api.tasks import attempt_of, task_id
from qchive.server.settings import Settings

NO_TASK = "Task does not exist in the task queue"
ANOTHER = "Task is claimed by another manager"
NOT_RUNNING = "Task is not in a running state"


_tags = (f"tag{n}" for n in itertools.count())


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server: each works under a tag of its own."""
    return shared_api


def claimed(api: Http, *kinds: str, **more: Any) -> tuple[Manager, list[dict[str, Any]]]:
    """A manager, and the tasks of new records that it has just claimed."""
    tag = next(_tags)
    for kind in kinds:
        add(api, kind=kind, compute_tag=tag, **more)
    manager = Manager(api, tags=[tag])
    return manager, manager.claim()


def started(api: Http, kind: str = "singlepoint", **more: Any) -> tuple[Manager, dict[str, Any]]:
    """A manager, and the task of a new record that it has just claimed."""
    manager, (task,) = claimed(api, kind, **more)
    return manager, task


def rival(manager: Manager) -> Manager:
    """Another manager that takes the same work."""
    return Manager(manager.api, tags=manager.tags)


def attempts(shared: Any, task: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The attempts of a task's record as the server keeps them."""
    query = "SELECT attempt_no, outcome FROM attempt WHERE record_id = %s ORDER BY attempt_no"
    return sql(shared.conninfo, query, task["record_id"])


def set_status(api: Http, record_id: int, status: str) -> None:
    api.patch("records", {"record_ids": [record_id], "status": status})


# --- design §8.2, row by row --------------------------------------------------------------------------------------


def test_the_same_return_twice_is_accepted_twice_and_changes_nothing(shared: Any, api: Http) -> None:
    manager, task = started(api)
    assert manager.give_one(task["id"], make_result(task)) is None
    before = api.record(task["record_id"], "**")
    assert manager.give_one(task["id"], make_result(task, stdout="other")) is None
    assert api.record(task["record_id"], "**") == before
    assert attempts(shared, task) == [(1, "complete")]


def test_the_same_failure_twice_is_accepted_twice(api: Http) -> None:
    manager, task = started(api)
    assert manager.give_one(task["id"], failure()) is None
    before = api.record(task["record_id"], "**")
    assert manager.give_one(task["id"], failure()) is None
    assert api.record(task["record_id"], "**") == before


@pytest.mark.parametrize(("result", "status"), [("success", "complete"), ("failure", "error")])
def test_the_last_lost_attempt_of_a_waiting_record_is_accepted(
    shared: Any, api: Http, result: str, status: str
) -> None:
    manager, task = started(api)
    silence(shared.conninfo, manager)
    assert api.statuses([task["record_id"]]) == ["waiting"]
    assert manager.give_one(task["id"], make_result(task) if result == "success" else failure()) is None
    assert api.statuses([task["record_id"]]) == [status]
    assert manager.shown()["status"] == "active"


def test_an_older_success_ends_the_attempt_that_runs_elsewhere(shared: Any, api: Http) -> None:
    manager, task = started(api)
    silence(shared.conninfo, manager)
    other = rival(manager)
    (again,) = other.claim()
    assert attempt_of(again["id"]) == (task["record_id"], 2)
    assert manager.give_one(task["id"], make_result(task)) is None
    record = api.record(task["record_id"], "compute_history")
    assert (record["status"], record["manager_name"]) == ("complete", manager.name)
    assert [h["manager_name"] for h in record["compute_history"]] == [manager.name]
    assert other.beat(running=[again["id"]]) == {"stop": [again["id"]]}
    assert other.give_one(again["id"], make_result(again)) == NO_TASK
    assert attempts(shared, task) == [(1, "complete"), (2, "superseded")]


def test_an_older_failure_is_refused_while_the_record_runs_elsewhere(shared: Any, api: Http) -> None:
    manager, task = started(api)
    silence(shared.conninfo, manager)
    other = rival(manager)
    (again,) = other.claim()
    assert manager.give_one(task["id"], failure()) == ANOTHER
    assert other.give_one(again["id"], make_result(again)) is None


def test_an_inactive_manager_is_judged_result_by_result(api: Http) -> None:
    manager, tasks = claimed(api, *["singlepoint"] * 3)
    manager.beat("inactive")
    assert manager.shown()["status"] == "inactive"
    other = rival(manager)
    (taken,) = other.claim(1)
    assert taken["record_id"] == tasks[0]["record_id"]
    set_status(api, tasks[2]["record_id"], "cancelled")
    answer = manager.give(
        {tasks[0]["id"]: failure(), tasks[1]["id"]: make_result(tasks[1]), tasks[2]["id"]: make_result(tasks[2])}
    )
    assert answer["accepted_ids"] == [tasks[1]["id"]]
    assert answer["rejected_info"] == [[tasks[0]["id"], ANOTHER], [tasks[2]["id"], NO_TASK]]
    assert manager.shown()["status"] == "active"


@pytest.mark.parametrize("gone", ["cancelled", "deleted", "removed"])
def test_what_nobody_wants_any_more_is_refused(api: Http, gone: str) -> None:
    manager, task = started(api)
    record_id = task["record_id"]
    if gone == "cancelled":
        set_status(api, record_id, "cancelled")
    else:
        body = {"record_ids": [record_id], "soft_delete": gone == "deleted", "delete_children": True}
        api.post("records/bulkDelete", body)
    assert manager.give_one(task["id"], make_result(task)) == NO_TASK
    assert api.statuses([record_id]) == [None if gone == "removed" else gone]
    assert manager.shown()["rejected"] == 1


def test_an_invalid_record_takes_no_other_result(shared: Any, api: Http) -> None:
    manager, task = started(api)
    silence(shared.conninfo, manager)
    other = rival(manager)
    (again,) = other.claim()
    other.give({again["id"]: make_result(again)})
    set_status(api, task["record_id"], "invalid")
    assert manager.give_one(task["id"], make_result(task)) == NO_TASK


def test_finished_work_counts_for_a_record_that_was_cancelled_and_brought_back(api: Http) -> None:
    manager, task = started(api)
    set_status(api, task["record_id"], "cancelled")
    api.post("records/revert", {"record_ids": [task["record_id"]], "revert_status": "cancelled"})
    assert manager.give_one(task["id"], make_result(task)) is None
    assert api.statuses([task["record_id"]]) == ["complete"]


@pytest.mark.parametrize(
    "make", [lambda t: t + 1, lambda t: t - 1, lambda t: task_id(999, 1), lambda t: 0, lambda t: -1]
)
def test_an_unknown_task_is_refused(api: Http, make: Any) -> None:
    manager, task = started(api)
    unknown = make(task["id"])
    assert manager.give_one(unknown, make_result(task)) == NO_TASK
    assert api.statuses([task["record_id"]]) == ["running"]


def test_somebody_elses_attempt_is_refused(api: Http) -> None:
    _, task = started(api)
    thief = Manager(api)
    assert thief.give_one(task["id"], make_result(task)) == ANOTHER
    assert thief.give_one(task["id"], failure()) == ANOTHER
    assert thief.give_one(task["id"], b"rubbish") == ANOTHER
    assert api.statuses([task["record_id"]]) == ["running"]


def test_somebody_elses_finished_attempt_is_refused(api: Http) -> None:
    manager, task = started(api)
    manager.give({task["id"]: make_result(task)})
    assert Manager(api).give_one(task["id"], make_result(task)) == NO_TASK


def test_an_unknown_manager_returns_nothing(api: Http) -> None:
    _, task = started(api)
    stranger = Manager(api, activate=False)
    body = {"name_data": stranger.name_data, "results_compressed": {str(task["id"]): packed(make_result(task))}}
    refusal = api.refused("POST", "/compute/v1/tasks/return", body)
    assert (refusal.status, refusal.reply["code"]) == (400, "manager_refused")


# --- results that cannot be taken ---------------------------------------------------------------------------------


def zip_bomb() -> bytes:
    """10 MB of nothing, in a frame that does not say so."""
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return compressor.compress(bytes(10 << 20)) + compressor.flush()


def good(task: dict[str, Any]) -> bytes:
    return zstandard.compress(msgspec.msgpack.encode(make_result(task)))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


BAD: dict[str, Any] = {
    "not compressed": lambda t: b"rubbish",
    "empty": lambda t: b"",
    "cut off": lambda t: good(t)[:-9],
    "not msgpack": lambda t: zstandard.compress(b"\xc1\xc1"),
    "no map": lambda t: [1, 2],
    "nothing in it": lambda t: {},
    "neither failure nor success": lambda t: {"success": True},
    "unknown schema": lambda t: make_result(t, schema_name="qcschema_output_v9"),
    "success false": lambda t: make_result(t, success=False),
    "for another kind": lambda t: make_result(t, schema_name="qcschema_optimization_output"),
    "lacks its driver": lambda t: {k: v for k, v in make_result(t).items() if k != "driver"},
    "short gradient": lambda t: make_result(t, driver="gradient", return_result=[0.0] * 5),
    "short hessian": lambda t: make_result(t, driver="hessian", return_result=[[0.0] * 6] * 5),
    "qcvars no map": lambda t: make_result(t, extras={"qcvars": [1]}),
    "unknown output": lambda t: make_result(
        t, extras={"_qcfractal_compressed_outputs": {"log": {"compression_type": "none", "data": b"x"}}}
    ),
    "output no bytes": lambda t: make_result(
        t, extras={"_qcfractal_compressed_outputs": {"stdout": {"compression_type": "zstd", "data": 7}}}
    ),
    "output not zstd": lambda t: make_result(
        t, extras={"_qcfractal_compressed_outputs": {"stdout": {"compression_type": "zstd", "data": b"rubbish"}}}
    ),
    "output of unknown compression": lambda t: make_result(
        t, extras={"_qcfractal_compressed_outputs": {"stdout": {"compression_type": "gzip", "data": b"rubbish"}}}
    ),
    "NUL in a file name": lambda t: make_result(t, native_files={"a\0b": "x"}),
    "endless file name": lambda t: make_result(t, native_files={"a" * 5000: "x"}),
    "deep properties": lambda t: make_result(t, properties={"deep": nested(150)}),
    "deeper extras": lambda t: make_result(t, extras={"deep": nested(900)}),
    "bottomless": lambda t: (make_result(t, extras={"deep": nested(1000)}) and b"\x28\xb5\x2f\xfd") or b"",
    "key no text": lambda t: make_result(t, extras={"map": {None: 1}}),
    "unknown extension": lambda t: make_result(t, extras={"odd": msgspec.msgpack.Ext(9, b"x")}),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_result_is_refused_alone(shared_api: Http, what: str) -> None:
    manager, tasks = claimed(shared_api, *["singlepoint"] * 3)
    bad = tasks[1]
    results = {t["id"]: BAD[what](t) if t is bad else make_result(t) for t in tasks}
    answer = manager.give(results)
    assert answer["accepted_ids"] == [tasks[0]["id"], tasks[2]["id"]]
    ((refused, reason),) = answer["rejected_info"]
    assert refused == bad["id"]
    assert answer["error_description"] is None
    record = shared_api.record(bad["record_id"], "outputs")
    assert record["status"] == "error"
    told = record["compute_history"][-1]["outputs"]["error"]
    error = unpacked(told["data"], told["compression_type"])
    assert error["error_type"] == "result_refused"
    assert reason in error["error_message"]
    assert shared_api.statuses([t["record_id"] for t in tasks]) == ["complete", "error", "complete"]
    # Said again it is refused again, and nothing changes.
    assert manager.give_one(bad["id"], results[bad["id"]]) == reason
    assert shared_api.record(bad["record_id"], "outputs") == record
    shown = manager.shown()
    assert (shown["successes"], shown["failures"], shown["rejected"]) == (2, 0, 2)


@pytest.mark.parametrize(
    "bomb",
    [zip_bomb(), zstandard.compress(bytes(10 << 20))],
    ids=["silent about its size", "that states its size"],
)
def test_a_zip_bomb_is_refused_alone(databases: Any, bomb: bytes) -> None:
    settings = Settings(max_result=1 << 20)
    with prepared(databases) as conninfo, running(conninfo, settings) as server, http(server.address) as api:
        add(api, 2)
        manager = Manager(api)
        one, other = manager.claim()
        answer = manager.give({one["id"]: bomb, other["id"]: make_result(other)})
        assert answer["accepted_ids"] == [other["id"]]
        assert "unpacks to" in answer["rejected_info"][0][1]


def test_two_attempts_of_one_record_in_one_return_leave_one_result(shared: Any, api: Http) -> None:
    manager, first = started(api)
    silence(shared.conninfo, manager)
    (second,) = manager.claim()
    answer = manager.give({first["id"]: failure(), second["id"]: make_result(second)})
    assert answer["accepted_ids"] == [second["id"]]
    assert answer["rejected_info"] == [[first["id"], NO_TASK]]
    record = api.record(first["record_id"], "compute_history")
    assert record["status"] == "complete"
    assert len(record["compute_history"]) == 1


def test_two_successes_of_one_record_in_one_return_leave_one_result(shared: Any, api: Http) -> None:
    manager, first = started(api)
    silence(shared.conninfo, manager)
    (second,) = manager.claim()
    answer = manager.give({first["id"]: make_result(first), second["id"]: make_result(second)})
    assert len(answer["accepted_ids"]) == 1
    assert answer["rejected_info"][0][1] == NO_TASK
    assert len(api.get(f"records/singlepoint/{first['record_id']}/compute_history")) == 1


def test_more_results_than_tasks_can_be_claimed_are_refused(api: Http) -> None:
    manager = Manager(api)
    body = {"name_data": manager.name_data, "results_compressed": {str(i): packed(1) for i in range(201)}}
    refusal = api.refused("POST", "/compute/v1/tasks/return", body)
    assert refusal.reply["code"] == "limit_exceeded"


def test_nothing_returned_is_no_error(api: Http) -> None:
    answer = Manager(api).give({})
    assert answer == {"error_description": None, "rejected_info": [], "accepted_ids": []}


# --- what results write -------------------------------------------------------------------------------------------


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
    set_status(api, task["record_id"], "waiting")
    (again,) = manager.claim()
    assert again["id"] != task["id"]
    manager.give({again["id"]: make_result(again)})
    history = api.get(f"records/singlepoint/{task['record_id']}/compute_history")
    assert [h["status"] for h in history] == ["error", "complete"]
