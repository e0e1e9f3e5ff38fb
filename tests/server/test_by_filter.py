"""Actions on all records that fit a filter: looked at first, done if it is still the same, purged for good."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acting import by_filter, do, family, last_operation, link, new_tag, one_of_each, preview
from tests.archive import prepared, running
from tests.factories import Http, add, http, sql

from qchive.server.settings import Settings


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server: each works under tags of its own."""
    return shared_api


def apply(api: Http, token: str, **more: Any) -> dict[str, Any]:
    return api.post("operations", {"token": token, **more})  # type: ignore[no-any-return]


def refused(api: Http, token: str, **more: Any) -> dict[str, Any]:
    refusal = api.refused("POST", "/api/v1/operations", {"token": token, **more})
    assert (refusal.status, refusal.reply["code"]) == (409, "count_moved")
    return refusal.reply


# --- looking ------------------------------------------------------------------------------------------------------


def test_a_preview_tells_what_would_change_what_not_and_shows_a_few(api: Http) -> None:
    tag = new_tag()
    ids = one_of_each(api, tag=tag)
    more = add(api, 6, "optimization", compute_tag=tag)
    seen = preview(api, "cancel", {"compute_tag": [tag]})
    assert (seen["action"], seen["count"], seen["background"]) == ("cancel", 9, False)
    assert seen["by_status"] == [
        {"record_type": "optimization", "status": "waiting", "count": 6},
        *({"record_type": "singlepoint", "status": s, "count": 1} for s in ("waiting", "running", "error")),
    ]
    assert {(c["record_type"], c["status"], c["count"]) for c in seen["others"]} == {
        ("singlepoint", s, 1) for s in ("complete", "cancelled", "invalid", "deleted")
    }
    expected = sorted([ids["waiting"], ids["running"], ids["error"], *more])[:5]
    assert [e["id"] for e in seen["examples"]] == expected
    assert seen["examples"][0] == {
        "id": ids["waiting"],
        "record_type": "singlepoint",
        "status": "waiting",
        "program": "psi4",
        "method": "hf",
        "basis": "sto-3g",
    }
    assert api.statuses(list(ids.values())) == list(ids), "nothing has changed"


def test_doing_it_changes_what_was_looked_at_and_says_so(api: Http) -> None:
    tag = new_tag()
    ids = one_of_each(api, tag=tag)
    token = preview(api, "delete", {"compute_tag": [tag], "status": ["error", "complete", "deleted"]})["token"]
    operation = apply(api, token, reason="too old")
    assert api.statuses([ids[s] for s in ("error", "complete", "deleted", "waiting")]) == ["deleted"] * 3 + ["waiting"]
    expected = {"action": "delete", "reason": "too old", "state": "complete", "expected": 2, "changed": 2}
    expected |= {"relatives": 0, "refused": 0, "undoes": None, "job_id": None, "changes": {}, "username": None}
    assert {name: operation[name] for name in expected} == expected
    assert operation["filter"] == {"compute_tag": [tag], "status": ["error", "complete", "deleted"]} | {
        name: None for name in operation["filter"] if name not in ("compute_tag", "status")
    }
    assert api.get(f"operations/{operation['id']}") == operation
    assert last_operation(api, ids["error"]) == operation["id"]


def test_relatives_that_do_not_fit_the_filter_change_along(shared: Any, api: Http) -> None:
    tag = new_tag()
    (parent, sibling), (child,) = add(api, 2), add(api, compute_tag=tag)
    link(shared.conninfo, parent, child, sibling)
    operation = by_filter(api, "cancel", {"compute_tag": [tag]})
    assert (operation["changed"], operation["relatives"], operation["refused"]) == (1, 2, 0)
    assert api.statuses([parent, child, sibling]) == ["cancelled"] * 3


# --- what has changed meanwhile -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("tolerance", "taken"), [(0.0, False), (0.05, False), (0.2, True), (1.0, True)])
def test_it_is_not_done_if_too_much_has_changed_since(api: Http, tolerance: float, taken: bool) -> None:
    tag = new_tag()
    ids = add(api, 10, compute_tag=tag)
    token = preview(api, "cancel", {"compute_tag": [tag]})["token"]
    do(api, "delete", *ids[:2])
    if taken:
        assert apply(api, token, tolerance=tolerance)["changed"] == 8
    else:
        reply = refused(api, token, tolerance=tolerance)
        assert (reply["expected"], reply["count"]) == (10, 8)
        assert api.statuses(ids) == ["deleted"] * 2 + ["waiting"] * 8


def test_a_twentieth_may_have_changed_unless_said_otherwise(api: Http) -> None:
    tag = new_tag()
    ids = add(api, 20, compute_tag=tag)
    token = preview(api, "cancel", {"compute_tag": [tag]})["token"]
    do(api, "delete", ids[0])
    refused(api, token, tolerance=0)
    assert apply(api, token)["changed"] == 19


def test_more_than_expected_is_too_much_as_well(api: Http) -> None:
    tag = new_tag()
    ids = add(api, 10, compute_tag=tag)
    do(api, "cancel", *ids[:2])
    token = preview(api, "cancel", {"compute_tag": [tag]})["token"]
    do(api, "uncancel", *ids[:2])
    assert refused(api, token)["count"] == 10


def test_what_is_added_later_is_left_alone(api: Http) -> None:
    tag = new_tag()
    before = add(api, 3, compute_tag=tag)
    token = preview(api, "cancel", {"compute_tag": [tag]})["token"]
    after = add(api, 5, compute_tag=tag)
    assert apply(api, token, tolerance=0)["changed"] == 3
    assert api.statuses([*before, *after]) == ["cancelled"] * 3 + ["waiting"] * 5


def test_a_second_time_nothing_is_left_to_do(api: Http) -> None:
    tag = new_tag()
    add(api, 3, compute_tag=tag)
    token = preview(api, "cancel", {"compute_tag": [tag]})["token"]
    apply(api, token)
    assert refused(api, token)["count"] == 0


def test_what_fits_nothing_does_nothing(api: Http) -> None:
    operation = by_filter(api, "cancel", {"compute_tag": [new_tag()]})
    assert (operation["changed"], operation["refused"], operation["expected"]) == (0, 0, 0)
    assert api.post(f"operations/{operation['id']}/moves", {}) == []


# --- what can be asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"action": "remove"},
        {"action": "nonsense"},
        {"action": "modify"},
        {"action": "modify", "comment": "only a comment"},
        {"action": "comment"},
        {"action": "cancel", "compute_tag": "t"},
        {"action": "reset", "compute_priority": 2},
        {"action": "modify", "compute_priority": 3},
        {"action": "cancel", "filter": {"record_id": ["x"]}},
    ],
)
def test_an_action_that_says_nothing_possible_is_refused(api: Http, body: dict[str, Any]) -> None:
    refusal = api.refused("POST", "/api/v1/operations/preview", {"filter": {"record_id": []}, **body})
    assert (refusal.status, refusal.reply["code"]) == (400, "invalid_body")


@pytest.mark.parametrize("token", ["", "nonsense", "AAAA", "a" * 5000, "ü"])
def test_what_is_no_token_is_refused(api: Http, token: str) -> None:
    refusal = api.refused("POST", "/api/v1/operations", {"token": token})
    assert (refusal.status, refusal.reply["code"]) == (400, "invalid_body")


def test_tags_and_comments_go_to_all_that_fit(api: Http) -> None:
    tag, other = new_tag(), new_tag()
    ids = one_of_each(api, tag=tag)
    operation = by_filter(api, "modify", {"compute_tag": [tag]}, compute_tag=other, compute_priority="low", comment="x")
    unfinished = [ids[s] for s in ("waiting", "running", "error", "cancelled", "deleted")]
    assert (operation["changed"], operation["refused"]) == (5, 0)
    assert operation["changes"] == {"compute_tag": other, "compute_priority": 0, "comment": "x"}
    assert sorted(api.post("records/query", {"compute_tag": [other]})) == sorted(unfinished)
    comments = [len(api.get(f"records/singlepoint/{i}/comments")) for i in ids.values()]
    assert comments == [int(i in unfinished) for i in ids.values()]
    everybody = by_filter(api, "comment", {"compute_tag": [tag, other]}, comment="seen")
    assert (everybody["changed"], everybody["expected"]) == (7, 7)
    assert [len(api.get(f"records/singlepoint/{i}/comments")) for i in ids.values()] == [n + 1 for n in comments]


def test_what_was_finished_before_it_was_deleted_does_not_count_for_a_new_tag(api: Http) -> None:
    tag = new_tag()
    ids = one_of_each(api, tag=tag)
    do(api, "delete", ids["complete"])
    wanted = {"record_id": [ids["complete"], ids["deleted"]]}
    operation = by_filter(api, "modify", wanted, compute_tag=new_tag())
    assert (operation["expected"], operation["changed"], operation["refused"]) == (1, 1, 0)


# --- purge --------------------------------------------------------------------------------------------------------


def test_a_purge_removes_what_was_deleted_with_its_deleted_children(shared: Any, api: Http) -> None:
    top, steps = family(api)
    (kept,) = add(api)
    do(api, "delete", top)
    molecules = [api.record(i)["molecule_id"] for i in steps] + [api.record(top)["initial_molecule_id"]]
    seen = preview(api, "purge", {"record_id": [top, kept]})
    assert (seen["count"], [c["status"] for c in seen["others"]]) == (1, ["waiting"])
    operation = apply(api, seen["token"])
    assert (operation["changed"], operation["relatives"], operation["refused"]) == (1, 2, 0)
    assert api.statuses([top, *steps, kept]) == [None] * 3 + ["waiting"]
    moves = api.post(f"operations/{operation['id']}/moves", {})
    assert [(m["record_id"], m["source"], m["target"]) for m in moves] == [
        (i, "deleted", None) for i in sorted([top, *steps])
    ]
    assert None not in api.post("molecules/bulkGet", {"ids": molecules, "missing_ok": True}), "molecules stay"
    assert api.post("molecules/bulkDelete", molecules)["errors"] == [], "but nothing needs them any more"


def test_a_purge_leaves_children_that_are_not_deleted(api: Http) -> None:
    top, steps = family(api)
    do(api, "delete_alone", top)
    operation = by_filter(api, "purge", {"record_id": [top]})
    assert (operation["changed"], operation["relatives"]) == (1, 0)
    assert api.statuses([top, *steps]) == [None, "complete", "complete"]


def test_a_purge_leaves_what_a_staying_record_refers_to(shared: Any, api: Http) -> None:
    top, steps = family(api)
    (other,) = add(api)
    do(api, "delete", top)
    link(shared.conninfo, other, steps[0])
    operation = by_filter(api, "purge", {"record_id": [top, *steps]})
    assert (operation["changed"], operation["relatives"], operation["refused"]) == (2, 0, 1)
    assert api.statuses([top, *steps]) == [None, "deleted", None]


# --- much ---------------------------------------------------------------------------------------------------------


def test_what_is_much_is_left_to_a_job(databases: Any) -> None:
    few_at_once = Settings(operation_at_once=3)
    with prepared(databases) as conninfo, running(conninfo, few_at_once) as server, http(server.address) as api:
        few, many = add(api, 3, compute_tag="few"), add(api, 4, compute_tag="many")
        seen = [preview(api, "cancel", {"compute_tag": [tag]}) for tag in ("few", "many")]
        assert [s["background"] for s in seen] == [False, True]
        at_once, later = (apply(api, s["token"]) for s in seen)
        assert (at_once["state"], at_once["job_id"], api.statuses(few)) == ("complete", None, ["cancelled"] * 3)
        assert (later["state"], later["changed"], api.statuses(many)) == ("running", 0, ["waiting"] * 4)
        assert api.get(f"internal_jobs/{later['job_id']}")["status"] == "waiting"
        stopped = api.post(f"operations/{later['id']}/stop", {})
        assert stopped["state"] == "stopped"
        undone = api.post(f"operations/{later['id']}/undo", {})
        assert (undone["changed"], undone["expected"]) == (0, 0)


def test_much_is_done_batch_by_batch_and_counted_once(shared: Any, api: Http) -> None:
    """More than one batch, with families that lie in several."""
    tag = new_tag()
    (first,) = add(api, compute_tag=tag)
    copy = (
        "INSERT INTO record (kind, spec_id, tag, requirement_id) SELECT kind, spec_id, tag,"
        " requirement_id FROM record, generate_series(1, 2499) WHERE id = %s RETURNING id"
    )
    ids = sorted([first, *(i for (i,) in sql(shared.conninfo, copy, first))])
    link(shared.conninfo, ids[0], ids[-1])
    operation = by_filter(api, "cancel", {"compute_tag": [tag]})
    seen = {name: operation[name] for name in ("state", "expected", "changed", "relatives", "refused")}
    assert seen == {"state": "complete", "expected": 2500, "changed": 2499, "relatives": 1, "refused": 0}
    assert set(api.statuses(ids[:500] + ids[-500:])) == {"cancelled"}
    assert by_filter(api, "uncancel", {"compute_tag": [tag]})["expected"] == 2500
