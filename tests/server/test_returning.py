"""Taking results back: what is kept, what is refused, and that no result suffers from another."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import zstandard
from tests.archive import prepared, running
from tests.factories import (
    Http,
    Manager,
    add,
    claimed,
    failure,
    http,
    make_result,
    packed,
    silence,
    sql,
    started,
    unpacked,
)

from qchive.api.tasks import attempt_of, task_id
from qchive.server.settings import Settings

NO_TASK = "Task does not exist in the task queue"
ANOTHER = "Task is claimed by another manager"
NOT_RUNNING = "Task is not in a running state"


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server: each works under a tag of its own."""
    return shared_api


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
