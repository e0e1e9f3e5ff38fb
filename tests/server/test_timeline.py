"""The history of a record: attempts, moves and comments in one list, oldest first."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acting import do, last_operation, link, new_tag, undo
from tests.factories import Http, Manager, add, failure, make_result, silence, sql


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server."""
    return shared_api


def history(api: Http, record_id: int) -> list[dict[str, Any]]:
    found = api.get(f"records/{record_id}/history")
    assert [e["time"] for e in found] == sorted(e["time"] for e in found)
    return found  # type: ignore[no-any-return]


def short(event: dict[str, Any]) -> tuple[Any, ...]:
    fields = {"attempt": ("attempt_no", "outcome"), "move": ("action", "source", "target"), "comment": ("comment",)}
    return event["event"], *(event.get(f) for f in fields.get(event["event"], ()))


def test_all_that_happens_to_a_record_is_told_in_its_order(shared: Any, api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    silent, failing, last = (Manager(api, tags=[tag]) for _ in range(3))
    silent.claim()
    silence(shared.conninfo, silent)
    (task,) = failing.claim()
    failing.give({task["id"]: failure("out_of_memory")})
    do(api, "comment", record_id, comment="hm")
    do(api, "reset", record_id, compute_priority=2, reason="more memory")
    (task,) = last.claim()
    assert [short(e) for e in history(api, record_id)][-1] == ("attempt", 3, "running")
    do(api, "cancel", record_id)
    undo(api, last_operation(api, record_id), reason="too early")
    (task,) = last.claim()
    last.give({task["id"]: make_result(task)})
    do(api, "invalidate", record_id, comment="wrong state")
    events = history(api, record_id)
    assert [short(e) for e in events] == [
        ("created",),
        ("attempt", 1, "lost"),
        ("attempt", 2, "error"),
        ("comment", "hm"),
        ("move", "reset", "error", "waiting"),
        ("attempt", 3, "stopped"),
        ("move", "cancel", "running", "cancelled"),
        ("move", "undo", "cancelled", "waiting"),
        ("attempt", 4, "complete"),
        ("move", "invalidate", "complete", "invalid"),
        ("comment", "wrong state"),
    ]
    attempts = [e for e in events if e["event"] == "attempt"]
    assert [e["manager_name"] for e in attempts] == [silent.name, failing.name, last.name, last.name]
    assert all(e["started_on"] <= e["time"] for e in attempts)
    assert (attempts[1]["error_type"], "converge" in attempts[1]["error_message"]) == ("out_of_memory", True)
    assert events[4]["reason"] == "more memory"
    assert (events[4]["priority"], events[4]["new_priority"], "tag" in events[4]) == (1, 2, False), "what was replaced"
    assert events[7]["reason"] == "too early"
    operations = [e["operation_id"] for e in events if e["event"] == "move"]
    assert operations == sorted(operations)


def test_the_history_of_a_relative_names_the_same_operation(shared: Any, api: Http) -> None:
    parent, child = add(api, 2)
    link(shared.conninfo, parent, child)
    do(api, "cancel", child)
    moves = [history(api, i)[-1] for i in (parent, child)]
    assert moves[0]["operation_id"] == moves[1]["operation_id"]
    assert [short(m) for m in moves] == [("move", "cancel", "waiting", "cancelled")] * 2


def test_of_a_removed_record_only_what_people_did_is_left(shared: Any, api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    manager = Manager(api, tags=[tag])
    (task,) = manager.claim()
    manager.give({task["id"]: failure()})
    do(api, "comment", record_id, comment="bad")
    do(api, "delete", record_id)
    do(api, "remove", record_id)
    events = history(api, record_id)
    assert [(e["event"], e["action"], e["source"], e.get("target")) for e in events] == [
        ("move", "delete", "error", "deleted"),
        ("move", "remove", "deleted", None),
    ]
    assert sql(shared.conninfo, "SELECT count(*) FROM comment WHERE record_id = %s", record_id) == [(0,)]


def test_what_never_was_has_no_history(api: Http) -> None:
    refusal = api.refused("GET", f"/api/v1/records/{10**12}/history")
    assert (refusal.status, refusal.reply["code"]) == (400, "not_found")


def test_a_quarantine_is_told_after_the_losses_that_led_to_it(shared: Any, api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    for _ in range(5):
        manager = Manager(api, tags=[tag])
        assert manager.claim()
        silence(shared.conninfo, manager)
    events = [e for e in history(api, record_id) if e["event"] == "attempt"]
    assert [(e["attempt_no"], e["outcome"]) for e in events] == [*((n, "lost") for n in range(1, 6)), (6, "error")]
    assert events[-1]["error_type"] == "lost"
    do(api, "reset", record_id)
    assert short(history(api, record_id)[-1]) == ("move", "reset", "error", "waiting")


def test_a_loss_that_delivers_after_all_is_told_when_it_does(shared: Any, api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    first, second = Manager(api, tags=[tag]), Manager(api, tags=[tag])
    (task,) = first.claim()
    silence(shared.conninfo, first)
    second.claim()
    first.give({task["id"]: make_result(task)})
    events = history(api, record_id)
    assert [short(e) for e in events] == [("created",), ("attempt", 1, "complete"), ("attempt", 2, "superseded")]
    assert [e["manager_name"] for e in events[1:]] == [first.name, second.name]
