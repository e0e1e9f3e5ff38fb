"""Taking operations back: for exactly those records that they moved last, and that are as they left them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.accounts import PASSWORD, as_user, secure
from tests.acting import by_filter, do, family, last_operation, link, new_tag, one_of_each, stacks, task_of, undo
from tests.factories import Http, Manager, add, claimed, failure, make_result, silence, sql

from qchive.server.access import ROLES

# status, action -> what taking it back makes of the record
BACK = [
    ("waiting", "cancel", "waiting"),
    ("running", "cancel", "waiting"),
    ("error", "cancel", "error"),
    ("waiting", "delete", "waiting"),
    ("running", "delete_alone", "waiting"),
    ("error", "delete", "error"),
    ("complete", "delete", "complete"),
    ("cancelled", "delete", "cancelled"),
    ("invalid", "delete_alone", "invalid"),
    ("complete", "invalidate", "invalid"),
    ("error", "reset", "error"),
    ("cancelled", "uncancel", "cancelled"),
    ("invalid", "uninvalidate", "invalid"),
    ("deleted", "undelete", "deleted"),
]


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server."""
    return shared_api


def counts(operation: dict[str, Any]) -> tuple[int, int, int]:
    return operation["changed"], operation["relatives"], operation["refused"]


def left(api: Http, operation: dict[str, Any]) -> dict[int, str]:
    return {one["record_id"]: one["reason"] for one in api.post(f"operations/{operation['id']}/left", {})}


@pytest.mark.parametrize(("status", "action", "back"), BACK)
def test_every_action_is_taken_back_and_done_again_by_taking_that_back(
    shared: Any, api: Http, status: str, action: str, back: str
) -> None:
    record_id = one_of_each(api)[status]
    before, stack = api.record(record_id), stacks(shared.conninfo, record_id)
    do(api, action, record_id)
    after, deeper = api.record(record_id), stacks(shared.conninfo, record_id)
    undone = undo(api, last_operation(api, record_id))
    expected = "complete" if action == "invalidate" else back
    assert counts(undone) == (1, 0, 0)
    now = api.record(record_id)
    assert (now["status"], stacks(shared.conninfo, record_id)) == (expected, stack)
    assert now["manager_name"] == (None if expected == "waiting" else before["manager_name"])
    assert now["modified_on"] > after["modified_on"]
    again = undo(api, undone["id"])
    assert counts(again) == (1, 0, 0)
    now = api.record(record_id)
    assert (now["status"], now["manager_name"]) == (after["status"], after["manager_name"])
    assert stacks(shared.conninfo, record_id) == deeper
    assert counts(undo(api, again["id"])) == (1, 0, 0)
    assert api.statuses([record_id]) == [expected]


def test_what_an_operation_did_to_relatives_is_taken_back_too(api: Http) -> None:
    top, steps = family(api)
    do(api, "delete", steps[0])
    operation = last_operation(api, top)
    assert counts(api.get(f"operations/{operation}")) == (1, 2, 0)
    assert counts(undo(api, operation)) == (3, 0, 0)
    assert api.statuses([top, *steps]) == ["complete"] * 3


def test_relatives_that_were_not_moved_are_not_touched(shared: Any, api: Http) -> None:
    """A child that had been cancelled before stays so, though uncancelling its parent would revive it."""
    parent, first, second = add(api, 3)
    do(api, "cancel", first)
    link(shared.conninfo, parent, first, second)
    do(api, "cancel", parent)
    assert counts(undo(api, last_operation(api, parent))) == (2, 0, 0)
    assert api.statuses([parent, first, second]) == ["waiting", "cancelled", "waiting"]


def test_what_something_else_moved_since_is_left_alone_and_named(api: Http) -> None:
    tag = new_tag()
    untouched, moved, removed, claimed_since = ids = add(api, 4, compute_tag=tag)
    do(api, "cancel", *ids)
    do(api, "uncancel", *ids)
    operation = last_operation(api, moved)
    do(api, "modify", claimed_since, compute_tag=(other := new_tag()))
    claiming_operation = last_operation(api, claimed_since)
    assert [t["record_id"] for t in Manager(api, tags=[other]).claim()] == [claimed_since]
    do(api, "delete", moved)
    later = last_operation(api, moved)
    do(api, "remove", removed)
    undone = undo(api, operation, reason="a mistake")
    assert counts(undone) == (1, 0, 3)
    assert (undone["undoes"], undone["expected"], undone["reason"]) == (operation, 4, "a mistake")
    assert (undone["action"], undone["state"], undone["filter"]) == ("undo", "complete", None)
    assert api.statuses(ids) == ["cancelled", "deleted", None, "running"]
    assert left(api, undone) == {
        moved: f"Operation {later} moved it later",
        removed: "It has been removed since",
        claimed_since: f"Operation {claiming_operation} moved it later",
    }
    assert untouched not in left(api, undone)


@pytest.mark.parametrize("since", [["cancel", "uncancel"], ["modify"], ["delete", "undelete"]])
def test_what_has_come_back_to_the_same_status_since_is_left_alone(api: Http, since: list[str]) -> None:
    (record_id,) = add(api)
    do(api, "cancel", record_id)
    do(api, "uncancel", record_id)
    operation = last_operation(api, record_id)
    for action in since:
        do(api, action, record_id, **({"compute_priority": 2} if action == "modify" else {}))
    undone = undo(api, operation)
    assert counts(undone) == (0, 0, 1)
    assert left(api, undone) == {record_id: f"Operation {operation + len(since)} moved it later"}
    assert api.statuses([record_id]) == ["waiting"]


@pytest.mark.parametrize("event", ["claimed", "finished", "failed"])
def test_what_a_manager_has_taken_since_is_left_alone(api: Http, event: str) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    do(api, "cancel", record_id)
    do(api, "uncancel", record_id)
    manager = Manager(api, tags=[tag])
    (task,) = manager.claim()
    if event != "claimed":
        manager.give({task["id"]: make_result(task) if event == "finished" else failure()})
    now = {"claimed": "running", "finished": "complete", "failed": "error"}[event]
    undone = undo(api, last_operation(api, record_id))
    assert counts(undone) == (0, 0, 1)
    assert api.statuses([record_id]) == [now]
    assert left(api, undone) == {record_id: f"It is {now} by now, no longer waiting"}


def test_what_was_taken_and_lost_since_is_as_it_was_left(shared: Any, api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    do(api, "cancel", record_id)
    do(api, "uncancel", record_id)
    manager = Manager(api, tags=[tag])
    (task,) = manager.claim()
    silence(shared.conninfo, manager)
    assert counts(undo(api, last_operation(api, record_id))) == (1, 0, 0)
    assert api.statuses([record_id]) == ["cancelled"]
    assert manager.give_one(task["id"], make_result(task)) is not None


def test_a_failed_record_that_was_reset_fails_again_as_it_had(api: Http) -> None:
    manager, (task,) = claimed(api, "singlepoint")
    manager.give({task["id"]: failure()})
    record_id = task["record_id"]
    error = api.get(f"records/singlepoint/{record_id}/compute_history")
    do(api, "reset", record_id)
    undo(api, last_operation(api, record_id))
    record = api.record(record_id)
    assert (record["status"], record["manager_name"]) == ("error", manager.name)
    assert api.get(f"records/singlepoint/{record_id}/compute_history") == error


def test_tag_and_priority_go_back_to_what_they_were(api: Http) -> None:
    tag = new_tag()
    ids = add(api, 2, compute_tag=tag, compute_priority=2)
    do(api, "modify", ids[0], compute_tag=(other := new_tag()))
    do(api, "modify", *ids, compute_tag=other, compute_priority=0)
    operation = last_operation(api, ids[0])
    moves = api.post(f"operations/{operation}/moves", {})
    assert [(m["record_id"], m["source"], m["target"], m["tag"], m["priority"]) for m in moves] == [
        (ids[0], "waiting", "waiting", None, 2),
        (ids[1], "waiting", "waiting", tag, 2),
    ]
    undone = undo(api, operation)
    assert counts(undone) == (2, 0, 0)
    seen = [(task_of(api, i)["tag"], task_of(api, i)["priority"]) for i in ids]
    assert seen == [(other, 2), (tag, 2)]
    undo(api, undone["id"])
    assert [(task_of(api, i)["tag"], task_of(api, i)["priority"]) for i in ids] == [(other, 0)] * 2


def test_a_status_and_a_tag_changed_together_go_back_together(api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    do(api, "cancel", record_id, compute_tag=new_tag(), comment="stays")
    undo(api, last_operation(api, record_id))
    record = api.record(record_id, "task", "comments")
    assert (record["status"], record["task"]["tag"], len(record["comments"])) == ("waiting", tag, 1)


def test_taking_back_steps_back(api: Http) -> None:
    (record_id,) = add(api)
    operations = []
    for action in ("cancel", "delete", "undelete"):
        do(api, action, record_id)
        operations.append(last_operation(api, record_id))
    seen = []
    for operation in reversed(operations):
        assert counts(undo(api, operation)) == (1, 0, 0)
        seen += api.statuses([record_id])
    assert seen == ["deleted", "cancelled", "waiting"]


def test_taking_back_twice_does_nothing_the_second_time(api: Http) -> None:
    (record_id,) = add(api)
    do(api, "cancel", record_id)
    operation = last_operation(api, record_id)
    undo(api, operation)
    again = undo(api, operation)
    assert counts(again) == (0, 0, 1)
    assert left(api, again) == {record_id: "It has been taken back already"}
    assert api.statuses([record_id]) == ["waiting"]


def test_an_operation_that_changed_nothing_is_taken_back_as_nothing(shared: Any, api: Http) -> None:
    (record_id,) = add(api)
    do(api, "reset", record_id)
    ((operation,),) = sql(shared.conninfo, "SELECT max(id) FROM operation")
    assert counts(undo(api, operation)) == (0, 0, 0)


@pytest.mark.parametrize("action", ["comment", "remove", "purge"])
def test_what_leaves_nothing_to_go_back_to_is_not_taken_back(shared: Any, api: Http, action: str) -> None:
    (record_id,) = add(api)
    if action == "comment":
        do(api, "comment", record_id, comment="seen")
    elif action == "remove":
        do(api, "remove", record_id)
    else:
        do(api, "delete", record_id)
        by_filter(api, "purge", {"record_id": [record_id]})
    ((operation,),) = sql(shared.conninfo, "SELECT max(id) FROM operation")
    refusal = api.refused("POST", f"/api/v1/operations/{operation}/undo", {})
    assert (refusal.status, refusal.reply["code"]) == (400, "not_undoable")
    assert action in refusal.reply["msg"]


def test_an_unknown_operation_is_not_found(api: Http) -> None:
    for method, path in [("GET", ""), ("POST", "/undo"), ("POST", "/stop"), ("POST", "/moves"), ("POST", "/left")]:
        refusal = api.refused(method, f"/api/v1/operations/{10**9}{path}", *([{}] if method == "POST" else []))
        assert (refusal.status, refusal.reply["code"]) == (400, "not_found")


def test_only_an_undoing_left_something_alone(api: Http) -> None:
    (record_id,) = add(api)
    do(api, "cancel", record_id)
    path = f"/api/v1/operations/{last_operation(api, record_id)}/left"
    assert api.refused("POST", path, {}).reply["code"] == "invalid_body"


def test_moves_and_what_was_left_are_read_page_by_page(api: Http) -> None:
    ids = add(api, 5)
    do(api, "cancel", *ids)
    operation = last_operation(api, ids[0])
    do(api, "uncancel", *ids)
    undone = undo(api, operation)
    for path in (f"operations/{operation}/moves", f"operations/{undone['id']}/left"):
        seen: list[int] = []
        while page := api.post(path, {"limit": 2, "cursor": seen[-1] if seen else 0}):
            assert len(page) <= 2
            seen += [one["record_id"] for one in page]
        assert seen == ids


# --- who may --------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(databases: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Http]]:
    """An administrator, somebody who submits, and `careful`, whose role may change records and not delete any."""
    monkeypatch.setitem(ROLES, "careful", {"records": frozenset({"read", "modify"})})
    with secure(databases) as server, as_user(server.address, "admin_user") as admin:
        admin.post("users", [{"username": "careful", "role": "careful", "enabled": True}, PASSWORD])
        with as_user(server.address, "careful") as careful, as_user(server.address, "submit_user") as submit:
            yield {"admin": admin, "careful": careful, "submit": submit}


def test_taking_back_needs_the_permission_for_what_that_does(people: dict[str, Http]) -> None:
    admin, careful = people["admin"], people["careful"]
    (record_id,) = add(admin)

    def refused(operation: int) -> None:
        refusal = careful.refused("POST", f"/api/v1/operations/{operation}/undo", {})
        assert (refusal.status, refusal.reply["code"]) == (403, "forbidden")
        assert "action 'delete' on resource 'records'" in refusal.reply["msg"]

    do(admin, "delete", record_id)
    deleting = last_operation(admin, record_id)
    brought_back = undo(careful, deleting)["id"]
    assert careful.statuses([record_id]) == ["waiting"], "whoever may change records may undelete them"
    refused(brought_back)
    deleted_again = undo(admin, brought_back)["id"]
    undone_again = undo(careful, deleted_again)["id"]
    refused(undone_again)
    do(admin, "delete", record_id)
    do(careful, "undelete", record_id)
    refused(last_operation(admin, record_id))
    assert admin.statuses([record_id]) == ["waiting"]
    do(careful, "cancel", record_id)
    assert counts(undo(careful, undo(careful, last_operation(admin, record_id))["id"])) == (1, 0, 0)


def test_who_may_change_records_takes_operations_of_others_back_under_their_own_name(people: dict[str, Http]) -> None:
    (record_id,) = add(people["admin"])
    do(people["admin"], "delete", record_id)
    undone = undo(people["submit"], last_operation(people["admin"], record_id))
    assert (undone["username"], counts(undone)) == ("submit_user", (1, 0, 0))


def test_operations_are_found_by_what_was_done_to_whom_and_when(api: Http) -> None:
    (record_id,) = add(api)
    for action in ("cancel", "uncancel", "cancel"):
        do(api, action, record_id)
    found = api.post("operations/query", {"record_id": [record_id]})
    assert [o["action"] for o in found] == ["cancel", "uncancel", "cancel"]
    ids, times = [o["id"] for o in found], [o["time"] for o in found]
    assert ids == sorted(ids, reverse=True)
    for query, expected in [
        ({"action": ["cancel"]}, [0, 2]),
        ({"limit": 1}, [0]),
        ({"cursor": ids[0]}, [1, 2]),
        ({"before": times[1]}, [1, 2]),
        ({"after": times[1]}, [0, 1]),
        ({"username": ["nobody"]}, []),
        ({"action": []}, []),
    ]:
        seen = api.post("operations/query", {"record_id": [record_id], **query})
        assert [o["id"] for o in seen] == [ids[n] for n in expected], query
