"""What people do to records: every action on every status, how it spreads, and what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acting import REQUESTS, STATUSES, changed, children, do, family, one_of_each
from tests.factories import Http, Manager, add, sql

from qchive.status import ACTIONS, Effect, Status

# record-lifecycle.md §3: status -> action -> new status; what is missing is refused.
TABLE: dict[str, dict[str, str]] = {
    "waiting": {"cancel": "cancelled", "delete": "deleted"},
    "running": {"cancel": "cancelled", "delete": "deleted"},
    "error": {"reset": "waiting", "cancel": "cancelled", "delete": "deleted"},
    "complete": {"invalidate": "invalid", "delete": "deleted"},
    "cancelled": {"uncancel": "waiting", "delete": "deleted"},
    "invalid": {"uninvalidate": "complete", "delete": "deleted"},
    "deleted": {"undelete": "waiting"},
}


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server: each works under a tag of its own."""
    return shared_api


@pytest.mark.parametrize("action", ["reset", "cancel", "uncancel", "invalidate", "uninvalidate", "delete", "undelete"])
def test_an_action_moves_what_it_applies_to_and_refuses_the_rest(shared_api: Http, action: str) -> None:
    ids = one_of_each(shared_api)
    before = shared_api.post("records/bulkGet", {"ids": list(ids.values())})
    answer = do(shared_api, action, *ids.values(), 10**9)
    wanted = [TABLE[status].get(action, status) for status in STATUSES]
    assert shared_api.statuses(list(ids.values())) == wanted
    assert changed(answer) == [n for n, status in enumerate(STATUSES) if action in TABLE[status]]
    assert [n for n, _ in answer["errors"]] == [n for n in range(8) if n not in changed(answer)]
    assert children(answer) == 0
    assert answer["error_description"] is None
    told = dict(answer["errors"])
    assert "does not exist" in told[7]
    for n, status in enumerate(STATUSES):
        if n in told:
            assert f"is {status}" in told[n]
            assert shared_api.record(ids[status]) == before[n], "a refused record does not change at all"
        else:
            after = shared_api.record(ids[status])
            assert after["modified_on"] > before[n]["modified_on"]
            assert after["created_on"] == before[n]["created_on"]
            assert after["properties"] == before[n]["properties"]


def test_the_table_of_this_test_is_that_of_the_code() -> None:
    for name, action in ACTIONS.items():
        if not action.undoable or action.effect is Effect.keep:
            continue
        table_name = "delete" if name == "delete_alone" else name
        assert {s.value for s in action.sources} == {s for s, row in TABLE.items() if table_name in row}
    assert set(TABLE) == {s.value for s in Status}


@pytest.mark.parametrize("action", ["remove", "remove_alone"])
def test_removal_applies_to_everything_even_to_what_is_not_there(shared: Any, api: Http, action: str) -> None:
    ids = one_of_each(api)
    molecules = [r["molecule_id"] for r in api.post("records/bulkGet", {"ids": list(ids.values())})]
    answer = do(api, action, *ids.values(), 10**9)
    assert changed(answer) == list(range(8))
    assert answer["errors"] == []
    assert children(answer) == 0
    for table in ("result", "attempt", "blob", "comment", "record_molecule"):
        left = sql(shared.conninfo, f"SELECT count(*) FROM {table} WHERE record_id = ANY(%s)", list(ids.values()))
        assert left == [(0,)], table
    assert None not in api.post("molecules/bulkGet", {"ids": molecules, "missing_ok": True})


@pytest.mark.parametrize(
    ("status", "actions", "path"),
    [
        ("running", ["cancel", "uncancel"], ["cancelled", "waiting"]),
        ("error", ["cancel", "uncancel"], ["cancelled", "error"]),
        ("running", ["delete", "undelete"], ["deleted", "waiting"]),
        ("complete", ["delete", "undelete"], ["deleted", "complete"]),
        (
            "error",
            ["cancel", "delete", "uncancel", "undelete", "uncancel", "reset"],
            ["cancelled", "deleted", "deleted", "cancelled", "error", "waiting"],
        ),
        (
            "complete",
            ["invalidate", "delete", "undelete", "uninvalidate"],
            ["invalid", "deleted", "invalid", "complete"],
        ),
        ("cancelled", ["delete", "undelete", "uncancel"], ["deleted", "cancelled", "waiting"]),
    ],
)
def test_actions_are_undone_step_by_step(shared_api: Http, status: str, actions: list[str], path: list[str]) -> None:
    record_id = one_of_each(shared_api)[status]
    seen = []
    for action in actions:
        do(shared_api, action, record_id)
        seen += shared_api.statuses([record_id])
    assert seen == path


@pytest.mark.parametrize(
    ("status", "action", "kept"),
    [
        ("running", "cancel", False),
        ("running", "delete", False),
        ("error", "cancel", True),
        ("error", "reset", False),
        ("complete", "invalidate", True),
        ("complete", "delete", True),
        ("invalid", "uninvalidate", True),
    ],
)
def test_the_manager_is_kept_where_it_did_something(shared_api: Http, status: str, action: str, kept: bool) -> None:
    record_id = one_of_each(shared_api)[status]
    before = shared_api.record(record_id)["manager_name"]
    assert before is not None
    do(shared_api, action, record_id)
    assert shared_api.record(record_id)["manager_name"] == (before if kept else None)


def test_what_comes_back_keeps_its_tag_priority_and_place(api: Http) -> None:
    first, second = (add(api, compute_tag="place", compute_priority=2)[0] for _ in range(2))
    do(api, "cancel", first)
    assert api.get(f"records/singlepoint/{first}/task") is None
    do(api, "uncancel", first)
    task = api.get(f"records/singlepoint/{first}/task")
    assert (task["tag"], task["priority"]) == ("place", 2)
    assert [t["record_id"] for t in Manager(api, tags=["place"]).claim()] == [first, second]


def test_repeated_ids_are_changed_once_and_answered_each(api: Http) -> None:
    (record_id,) = add(api)
    answer = do(api, "cancel", record_id, record_id, 10**9, record_id)
    assert changed(answer) == [0, 1, 3]
    assert [n for n, _ in answer["errors"]] == [2]
    assert children(answer) == 0


def test_no_ids_are_no_error(api: Http) -> None:
    for action in REQUESTS:
        answer = do(api, action)
        assert (changed(answer), answer["errors"], children(answer)) == ([], [], 0)


@pytest.mark.parametrize(
    ("action", "on", "parent", "first", "second", "others"),
    [
        ("delete", "parent", "deleted", "deleted", "deleted", 2),
        ("delete_alone", "parent", "deleted", "complete", "complete", 0),
        ("delete", "first", "deleted", "deleted", "deleted", 2),
        ("delete_alone", "first", "deleted", "deleted", "complete", 1),
        ("invalidate", "parent", "invalid", "complete", "complete", 0),
        ("invalidate", "first", "invalid", "invalid", "complete", 1),
        ("cancel", "first", "complete", "complete", "complete", 0),
        ("remove", "parent", None, None, None, 2),
        ("remove_alone", "parent", None, "complete", "complete", 0),
        ("remove", "first", "complete", "complete", "complete", 0),
    ],
)
def test_an_action_spreads_to_relatives(
    shared_api: Http, action: str, on: str, parent: str, first: str, second: str, others: int
) -> None:
    top, steps = family(shared_api)
    answer = do(shared_api, action, top if on == "parent" else steps[0])
    assert shared_api.statuses([top, *steps]) == [parent, first, second]
    assert children(answer) == others


def test_undoing_spreads_to_children_only(shared_api: Http) -> None:
    top, steps = family(shared_api)
    do(shared_api, "delete", top)
    assert children(do(shared_api, "undelete", steps[0])) == 0
    assert shared_api.statuses([top, *steps]) == ["deleted", "complete", "deleted"]
    assert children(do(shared_api, "undelete", top)) == 1
    assert shared_api.statuses([top, *steps]) == ["complete"] * 3


def test_an_id_that_is_refused_does_not_spread(shared: Any, api: Http) -> None:
    top, steps = family(api)
    sql(shared.conninfo, "UPDATE record SET status = 'error' WHERE id = %s", steps[1])
    assert children(do(api, "cancel", steps[0])) == 0
    assert children(do(api, "reset", top)) == 0
    assert api.statuses([top, *steps]) == ["complete", "complete", "error"]


def test_a_child_that_another_parent_needs_is_not_removed(shared: Any, api: Http) -> None:
    top, steps = family(api)
    (other,) = add(api, kind="optimization")
    link = "INSERT INTO record_child (parent_id, role, position, child_id) VALUES (%s, 'trajectory', 0, %s)"
    sql(shared.conninfo, link, other, steps[0])
    answer = do(api, "remove", top)
    assert (changed(answer), children(answer)) == ([0], 1)
    assert api.statuses([top, *steps]) == [None, "complete", None]


def test_grandchildren_of_a_child_that_stays_stay_too(shared: Any, api: Http) -> None:
    top, steps = family(api)
    ids = [*add(api, 2, "optimization"), top]
    link = "INSERT INTO record_child (parent_id, role, position, child_id) VALUES (%s, 'optimizations', 0, %s)"
    for grandparent in ids[:2]:
        sql(shared.conninfo, link, grandparent, top)
    answer = do(api, "remove", ids[0])
    assert (changed(answer), children(answer)) == ([0], 0)
    assert api.statuses([*ids, *steps]) == [None, "waiting", "complete", "complete", "complete"]
    answer = do(api, "remove", ids[1])
    assert (changed(answer), children(answer)) == ([0], 3)


def test_one_record_is_deleted_with_its_children_by_its_address(api: Http) -> None:
    top, steps = family(api)
    answer = api.ask("DELETE", f"/api/v1/records/{top}")
    assert answer == {"error_description": None, "errors": [], "deleted_idx": [0], "n_children_deleted": 2}
    assert api.statuses([top, *steps]) == ["deleted"] * 3
    assert api.ask("DELETE", f"/api/v1/records/{top}")["deleted_idx"] == []


def test_tag_and_priority_change_for_what_is_not_finished(shared_api: Http) -> None:
    ids = one_of_each(shared_api)
    before = shared_api.post("records/bulkGet", {"ids": list(ids.values())})
    body = {"record_ids": list(ids.values()), "compute_tag": "NEW", "compute_priority": "low"}
    answer = shared_api.patch("records", body)
    assert [STATUSES[n] for n in answer["updated_idx"]] == ["waiting", "running", "error", "cancelled", "deleted"]
    task = shared_api.get(f"records/singlepoint/{ids['waiting']}/task")
    assert (task["tag"], task["priority"]) == ("new", 0)
    after = shared_api.post("records/bulkGet", {"ids": list(ids.values())})
    assert after == before, "neither times nor anything else that records show has changed"
    do(shared_api, "uncancel", ids["cancelled"])
    assert shared_api.get(f"records/singlepoint/{ids['cancelled']}/task")["tag"] == "new"


def test_a_combined_change_applies_wholly_or_not_to_each_record(api: Http) -> None:
    ids = one_of_each(api)
    wanted = [ids["error"], ids["waiting"]]
    body = {"record_ids": wanted, "status": "waiting", "compute_tag": "t", "comment": "again"}
    answer = api.patch("records", body)
    assert answer["updated_idx"] == [0]
    assert api.statuses(wanted) == ["waiting", "waiting"]
    tags = [api.get(f"records/singlepoint/{i}/task")["tag"] for i in wanted]
    assert tags[0] == "t" != tags[1]
    assert [len(api.get(f"records/singlepoint/{i}/comments")) for i in wanted] == [1, 0]


def test_comments_go_on_records_of_any_status(api: Http) -> None:
    ids = list(one_of_each(api).values())
    before = api.post("records/bulkGet", {"ids": ids})
    answer = api.patch("records", {"record_ids": [*ids, ids[0], 10**9], "comment": "seen"})
    assert answer["updated_idx"] == list(range(8))
    assert [n for n, _ in answer["errors"]] == [8]
    assert "does not exist" in answer["errors"][0][1]
    assert all(len(api.get(f"records/singlepoint/{i}/comments")) == 1 for i in ids)
    assert api.post("records/bulkGet", {"ids": ids}) == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "records", {}),
        ("PATCH", "records", {"comment": ""}),
        ("PATCH", "records", {"compute_tag": ""}),
        ("PATCH", "records", {"status": "running"}),
        ("PATCH", "records", {"status": "deleted"}),
        ("PATCH", "records", {"status": "nonsense"}),
        ("PATCH", "records", {"compute_priority": 3}),
        ("PATCH", "records", {"compute_priority": "urgent"}),
        ("PATCH", "records", {"compute_tag": "x" * 201}),
        ("POST", "records/revert", {"revert_status": "waiting"}),
        ("POST", "records/revert", {}),
        ("POST", "records/bulkDelete", {"soft_delete": True}),
    ],
)
def test_changes_that_say_nothing_possible_are_refused(
    shared_api: Http, method: str, path: str, body: dict[str, Any]
) -> None:
    refusal = shared_api.refused(method, f"/api/v1/{path}", {"record_ids": [1], **body})
    assert (refusal.status, refusal.reply["code"]) == (400, "invalid_body")


def test_every_move_of_people_is_written_down(shared: Any, api: Http) -> None:
    top, steps = family(api)
    everybody = sorted([top, *steps])
    do(api, "delete", top)
    do(api, "undelete", top)
    do(api, "remove_alone", top)
    moves = sql(
        shared.conninfo,
        "SELECT o.action, m.record_id, m.source::text, m.target::text FROM operation o JOIN move m"
        " ON m.operation_id = o.id WHERE m.record_id = ANY(%s) ORDER BY o.id, m.record_id",
        everybody,
    )
    assert moves == [
        *(("delete", i, "complete", "deleted") for i in everybody),
        *(("undelete", i, "deleted", "complete") for i in everybody),
        ("remove", top, "complete", None),
    ]
