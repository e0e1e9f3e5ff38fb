"""The protocol's acceptance scenarios for composite records (S12 to S25), what people's actions mean for them
(`record-lifecycle` section 8.2), and where we mean to be better than it (13.3 to 13.9, 13.13, 13.17, 13.20)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.acting import by_filter, changed, last_operation, new_tag, preview, refused, stacks, undo
from tests.acting import children as relatives
from tests.archive import prepared, running
from tests.factories import (
    Http,
    Manager,
    claim_and_return,
    failure,
    make_molecule,
    make_result,
)
from tests.scene import Scene
from tests.toys import TOYS, children, error_of


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[Any]:
    """A server that knows the toys."""
    with prepared(databases) as conninfo, running(conninfo, kinds=TOYS) as server:
        yield server


@pytest.fixture(params=["reaction", "stairs", "towers"])
def scene(request: Any, shared: Any, shared_api: Http) -> Iterator[Scene]:
    made = Scene(shared_api, shared.conninfo, request.param)
    yield made
    assert made.at_rest()


# --- S12 to S14: a finished one and its children ------------------------------------------------------------------


def test_a_finished_one_goes_and_comes_back_with_its_children(scene: Scene) -> None:
    scene.bring_to("complete")
    below = scene.children
    assert relatives(scene.do("delete")) == len(below)
    assert set(scene.statuses(scene.id, *below)) == {"deleted"}
    assert relatives(scene.do("undelete")) == len(below)
    assert set(scene.statuses(scene.id, *below)) == {"complete"}


@pytest.mark.parametrize(("action", "left"), [("remove", None), ("remove_alone", "complete")])
def test_a_finished_one_is_deleted_alone_and_then_removed(scene: Scene, action: str, left: str | None) -> None:
    scene.bring_to("complete")
    below = scene.children
    assert relatives(scene.do("delete_alone")) == 0
    assert set(scene.statuses(*below)) == {"complete"}
    assert relatives(scene.do(action)) == (0 if left else len(below))
    assert set(scene.statuses(*below)) == {left}


# --- S15 to S17: stopped and taken up again -----------------------------------------------------------------------


def test_one_that_waits_is_cancelled_and_comes_back_as_it_was(scene: Scene) -> None:
    before = scene.api.record(scene.id, "service")["service"]
    scene.do("cancel")
    assert (scene.status, stacks(scene.conninfo, scene.id)) == ("cancelled", [["waiting"]])
    assert scene.tick() == 0
    scene.do("uncancel")
    after = scene.api.record(scene.id, "service")["service"]
    assert scene.status == "waiting"
    assert (after["tag"], after["priority"]) == (before["tag"], before["priority"]) == (scene.tag, 2)
    scene.finish()
    (entry,) = scene.api.record(scene.id, "compute_history", "outputs")["compute_history"]
    assert list(entry["outputs"]) == ["stdout"]


def test_one_that_runs_is_cancelled_with_what_is_open_and_goes_on_where_it_was(scene: Scene) -> None:
    scene.start()
    below = scene.children
    done = [i for i, s in zip(below, scene.statuses(*below), strict=True) if s == "complete"]
    times = {i: scene.api.record(i)["modified_on"] for i in done}
    count = relatives(scene.do("cancel"))
    assert (scene.status, scene.has_flow()) == ("cancelled", True)
    assert stacks(scene.conninfo, scene.id) == [["waiting"]]
    assert scene.statuses(*below).count("cancelled") == count == len(below) - len(done)
    assert scene.tick() == 0
    assert relatives(scene.do("uncancel")) == count
    assert scene.status == "waiting"
    assert set(scene.statuses(*below)) <= {"complete", "waiting"}
    scene.finish()
    assert scene.outcomes == ["stopped", "complete"]
    assert set(below) <= set(scene.children)
    assert times == {i: scene.api.record(i)["modified_on"] for i in done}


def test_a_cancelled_child_stops_its_record_which_comes_back_with_it(scene: Scene) -> None:
    scene.start()
    open_ones = [i for i in scene.current if scene.statuses(i) != ["complete"]]
    scene.do("cancel", open_ones[0])
    assert set(scene.statuses(scene.id, *open_ones)) == {"cancelled"}
    scene.do("uncancel")
    scene.finish()


def test_a_child_that_comes_back_alone_leaves_its_record_stopped(scene: Scene) -> None:
    """13.3: the cancellation of the record covers that of the child, whoever came first."""
    scene.start()
    child = next(i for i in scene.current if scene.statuses(i) != ["complete"])
    scene.do("cancel", child)
    scene.do("uncancel", child)
    assert (scene.status, scene.statuses(child)) == ("cancelled", ["waiting"])
    scene.tick()
    claim_and_return(scene.manager)
    scene.tick()
    assert scene.status == "cancelled"
    scene.do("uncancel")
    scene.finish()


# --- S18, S19: failed ones ----------------------------------------------------------------------------------------


def test_a_failed_one_is_reset_until_it_succeeds(scene: Scene) -> None:
    scene.start()
    for failures in (1, 2):
        scene.fail()
        assert scene.outcomes.count("error") == failures, "each attempt has its own entry"
        scene.do("reset")
        assert (scene.status, stacks(scene.conninfo, scene.id)) == ("waiting", [[]])
        assert set(scene.statuses(*scene.children)) <= {"complete", "waiting"}
    scene.finish()
    entries = scene.api.record(scene.id, "compute_history", "outputs")["compute_history"]
    assert [e["status"] for e in entries] == ["error", "error", "complete"]
    assert "error" not in entries[-1]["outputs"], "13.17: errors are not those of the attempt that succeeded"


def test_a_failed_one_is_cancelled_comes_back_failed_and_is_reset(scene: Scene) -> None:
    scene.bring_to("error")
    below = dict(zip(scene.children, scene.statuses(*scene.children), strict=True))
    scene.do("cancel")
    assert stacks(scene.conninfo, scene.id) == [["error"]]
    assert [s for s in scene.statuses(*below) if s == "error"] == []
    scene.do("uncancel")
    assert dict(zip(below, scene.statuses(*below), strict=True)) == below
    assert (scene.status, scene.tick()) == ("error", 0)
    scene.do("reset")
    scene.finish()


def test_resetting_a_child_only_leaves_the_failed_one_failed(scene: Scene) -> None:
    scene.bring_to("error")
    below = [i for i in scene.children if scene.statuses(i) == ["error"]]
    scene.do("reset", *below)
    while scene.tick() or claim_and_return(scene.manager):
        pass
    assert set(scene.statuses(*below)) == {"complete"}
    assert scene.status == "error"
    scene.do("reset")
    scene.finish()


# --- S20: what is not to be trusted -------------------------------------------------------------------------------


def test_an_invalid_one_and_invalid_children_are_healed_from_above(scene: Scene) -> None:
    scene.bring_to("complete")
    scene.do("invalidate")
    assert set(scene.statuses(*scene.children)) == {"complete"}
    scene.do("uninvalidate")
    assert scene.status == "complete"
    two = scene.children[:2]
    scene.do("invalidate", *two)
    assert scene.status == "invalid"
    assert set(scene.statuses(*two)) == {"invalid"}
    scene.do("uninvalidate", two[0])
    assert (scene.status, scene.statuses(two[0])) == ("invalid", ["complete"])
    scene.do("uninvalidate")
    assert set(scene.statuses(scene.id, *scene.children)) == {"complete"}


def test_one_at_work_on_an_invalid_child_stops_and_computes_it_anew(scene: Scene) -> None:
    """13.4: it neither hangs nor ends with what nobody trusts."""
    scene.tick()
    claim_and_return(scene.manager)
    invalid = min(i for i in scene.children if scene.statuses(i) == ["complete"])
    scene.do("invalidate", invalid)
    assert scene.status == "cancelled"
    scene.do("uncancel")
    for _ in range(3):
        while scene.tick() or claim_and_return(scene.manager):
            pass
        scene.do("reset")
    assert scene.statuses(scene.id, invalid) == ["complete", "invalid"]
    assert invalid not in scene.children


# --- S21 to S23: deleted ones -------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["delete", "delete_alone"])
@pytest.mark.parametrize("status", ["waiting", "running", "error", "cancelled", "complete", "invalid"])
def test_one_of_each_status_is_deleted_and_comes_back(scene: Scene, status: str, action: str) -> None:
    scene.bring_to(status)
    below = scene.children
    before = scene.statuses(*below)
    scene.do(action)
    assert (scene.status, scene.has_flow()) == ("deleted", status not in ("complete", "invalid"))
    if action == "delete":
        assert set(scene.statuses(*below)) <= {"deleted"}
    else:
        assert scene.statuses(*below) == before
    assert scene.tick() <= len(below), "what is deleted is not taken on; stairs left alone may be"
    scene.do("undelete")
    assert scene.status == ("waiting" if status == "running" else status)
    assert "deleted" not in scene.statuses(*below)
    if status in ("waiting", "running"):
        scene.finish()


@pytest.mark.parametrize("action", ["delete", "delete_alone"])
def test_a_deleted_child_takes_its_record_along(scene: Scene, action: str) -> None:
    scene.start()
    child, *siblings = sorted(scene.current)
    scene.do(action, child)
    assert scene.statuses(scene.id, child) == ["deleted", "deleted"]
    assert all((s == "deleted") is (action == "delete") for s in scene.statuses(*siblings))
    scene.do("undelete")
    scene.finish()


@pytest.mark.parametrize("action", ["remove", "remove_alone"])
@pytest.mark.parametrize("status", ["waiting", "running", "error", "cancelled", "complete", "invalid"])
def test_one_of_each_status_is_removed(scene: Scene, status: str, action: str) -> None:
    """13.13: also one that runs; what is returned for its children afterwards is refused, or theirs alone."""
    scene.bring_to(status)
    below = scene.children
    tasks = scene.manager.claim()
    answer = scene.do(action)
    assert (changed(answer), relatives(answer)) == ([0], len(below) if action == "remove" else 0)
    assert scene.status is None
    assert not scene.has_flow()
    assert [s is None for s in scene.statuses(*below)] == [action == "remove"] * len(below)
    taken = scene.manager.give({t["id"]: make_result(t) for t in tasks})["accepted_ids"]
    assert len(taken) == (len(tasks) if action == "remove_alone" else 0)
    scene.tick()
    assert scene.status is None


def test_a_child_in_use_is_not_removed(scene: Scene) -> None:
    scene.start()
    answer = scene.do("remove", *scene.current)
    assert (changed(answer), refused(answer)) == ([], list(range(len(scene.current))))
    scene.finish()


# --- S24, S25: tag and priority -----------------------------------------------------------------------------------


def test_a_new_tag_reaches_all_that_is_still_to_be_computed(scene: Scene) -> None:
    scene.start()
    later = new_tag()
    below = [i for i in scene.children if scene.statuses(i) != ["complete"]]
    before = scene.api.record(scene.id)
    answer = scene.do("modify", compute_tag=later.upper(), compute_priority=0)
    assert (changed(answer), relatives(answer)) == ([0], len(below))
    after = scene.api.record(scene.id)
    assert (after["created_on"], after["modified_on"]) == (before["created_on"], before["modified_on"])
    service = scene.api.record(scene.id, "service")["service"]
    assert (service["tag"], service["priority"]) == (later, 0)
    scene.manager = Manager(scene.api, tags=[later])
    scene.finish()


def test_a_new_tag_is_refused_by_a_finished_one(scene: Scene) -> None:
    scene.bring_to("complete")
    assert refused(scene.do("modify", compute_tag="late")) == [0]


def test_a_cancelled_one_takes_a_new_tag_along(scene: Scene) -> None:
    scene.bring_to("cancelled")
    later = new_tag()
    assert changed(scene.do("modify", compute_tag=later)) == [0]
    scene.do("uncancel")
    scene.manager = Manager(scene.api, tags=[later])
    scene.finish()


def test_what_comes_back_keeps_its_place_in_the_queue(scene: Scene) -> None:
    """13.20: children are as old as their record, also when they were cancelled meanwhile."""
    scene.tick()
    younger = scene.add()
    scene.tick()
    scene.do("cancel")
    scene.do("uncancel")
    scene.tick()
    (first,) = scene.manager.claim(1)
    assert first["record_id"] in scene.children
    assert scene.statuses(younger) == ["running"]


# --- operations: undone, and by filter ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["waiting", "running", "error", "complete"])
@pytest.mark.parametrize("action", ["cancel", "delete", "delete_alone", "invalidate", "reset"])
def test_what_was_done_is_undone(scene: Scene, action: str, status: str) -> None:
    scene.bring_to(status)
    before = [s and s.replace("running", "waiting") for s in scene.statuses(scene.id, *scene.children)]
    if not changed(scene.do(action)):
        return
    undo(scene.api, last_operation(scene.api, scene.id))
    after = [s and s.replace("running", "waiting") for s in scene.statuses(scene.id, *scene.children)]
    assert after == before
    scene.do("reset")
    scene.finish()


def test_an_action_by_filter_is_for_composite_records_too(scene: Scene) -> None:
    others = [scene.add() for _ in range(2)]
    ids = [scene.id, *others]
    scene.start()
    wanted = {"record_type": [scene.kind], "record_id": ids}
    seen = preview(scene.api, "cancel", wanted)
    assert seen["count"] == 3
    assert sorted(e["id"] for e in seen["examples"]) == sorted(ids)
    operation = by_filter(scene.api, "cancel", wanted)
    assert (operation["changed"], set(scene.statuses(*ids))) == (3, {"cancelled"})
    assert scene.tick() == 0
    undo(scene.api, operation["id"])
    scene.finish()
    assert set(scene.statuses(*ids)) == {"complete"}
    assert by_filter(scene.api, "delete", wanted)["changed"] == 3
    by_filter(scene.api, "purge", wanted)
    assert scene.statuses(*ids) == [None] * 3


# --- 13.2: children of several ------------------------------------------------------------------------------------


@pytest.fixture
def two(shared: Any, shared_api: Http) -> Iterator[tuple[Scene, int]]:
    """One more record, which needs a child of the first and has one of its own."""
    scene = Scene(shared_api, shared.conninfo, "reaction")
    scene.do("remove")
    common, mine, other = (make_molecule() for _ in range(3))
    scene.id = scene.add(molecules=[common, mine])
    second = scene.add(molecules=[common, other])
    scene.tick()
    assert len(set(scene.current) & set(children(scene.api, second))) == 1
    yield scene, second
    assert scene.at_rest()


@pytest.mark.parametrize("action", ["cancel", "delete"])
def test_a_child_that_another_one_needs_is_spared(two: tuple[Scene, int], action: str) -> None:
    scene, second = two
    assert relatives(scene.do(action)) == 1
    assert set(scene.statuses(second, *children(scene.api, second))) <= {"running", "waiting"}
    while scene.tick() or claim_and_return(scene.manager):
        pass
    assert scene.statuses(second) == ["complete"]
    scene.do("un" + action)
    scene.finish()


def test_both_stop_with_the_child_that_they_share_and_come_back_one_by_one(two: tuple[Scene, int]) -> None:
    scene, second = two
    (common,) = set(scene.current) & set(children(scene.api, second))
    scene.do("cancel", common)
    assert scene.statuses(scene.id, second) == ["cancelled"] * 2
    scene.do("uncancel")
    scene.finish()
    assert scene.statuses(second) == ["cancelled"]
    scene.do("uncancel", second)
    while scene.tick() or claim_and_return(scene.manager):
        pass
    assert scene.statuses(second) == ["complete"]


@pytest.mark.parametrize("action", ["remove", "delete"])
def test_a_child_in_use_elsewhere_stays_when_one_is_removed(two: tuple[Scene, int], action: str) -> None:
    scene, second = two
    (common,) = set(scene.current) & set(children(scene.api, second))
    (own,) = set(scene.current) - {common}
    scene.do(action)
    gone = None if action == "remove" else "deleted"
    assert scene.statuses(scene.id, own, common) == [gone, gone, "waiting"]
    while scene.tick() or claim_and_return(scene.manager):
        pass
    assert scene.statuses(second) == ["complete"]


# --- those made of composite ones ---------------------------------------------------------------------------------


@pytest.fixture
def tower(shared: Any, shared_api: Http) -> Iterator[Scene]:
    made = Scene(shared_api, shared.conninfo, "towers")
    yield made
    assert made.at_rest()


def test_a_tower_is_built_of_stairs(tower: Scene) -> None:
    tower.finish()
    assert tower.api.record(tower.id)["properties"] == {"total": -10.0}
    assert len(tower.children) == 6


def test_one_step_that_fails_fails_all_above_it_and_a_reset_runs_it_again(tower: Scene) -> None:
    tower.tick()
    one, other = tower.manager.claim()
    tower.manager.give({one["id"]: failure(), other["id"]: make_result(other)})
    tower.tick()
    claim_and_return(tower.manager)
    tower.tick()
    below = tower.current
    assert sorted(tower.statuses(*below)) == ["complete", "error"]
    assert tower.status == "error"
    failed = below[tower.statuses(*below).index("error")]
    assert f"record {failed} (error)" in error_of(tower.api, tower.id)["error_message"]
    assert relatives(tower.do("reset")) == 2
    tower.finish()


def test_a_cancelled_step_stops_all_above_it(tower: Scene) -> None:
    tower.tick()
    step = max(tower.children)
    tower.do("cancel", step)
    assert set(tower.statuses(tower.id, *tower.children)) == {"cancelled"}
    tower.do("uncancel", tower.current[0])
    tower.tick()
    assert tower.status == "cancelled"
    tower.do("uncancel")
    tower.finish()


def test_middle_ones_are_reset_alone_and_the_tower_after_them(tower: Scene) -> None:
    tower.bring_to("error")
    tower.do("reset", *tower.current)
    while tower.tick() or claim_and_return(tower.manager):
        pass
    assert set(tower.statuses(*tower.current)) == {"complete"}
    assert tower.status == "error"
    tower.do("reset")
    tower.finish()
