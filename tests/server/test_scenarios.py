"""The protocol's acceptance scenarios that need no service: seven unrelated records in seven statuses, and families."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acting import changed, children, do, family, new_tag, one_of_each, refused, stacks, task_of
from tests.factories import OPTIMIZATION, Http, Manager, add, failure, make_result, silence, sql

ORDER = ("waiting", "complete", "running", "error", "cancelled", "deleted", "invalid")
UNKNOWN = 10**12


class Seven:
    """R0 to R6 of the scenarios, and a manager that takes what is claimable of them."""

    def __init__(self, api: Http, conninfo: str) -> None:
        self.api, self.conninfo, self.tag = api, conninfo, new_tag()
        by_status = one_of_each(api, tag=self.tag)
        self.ids = [by_status[s] for s in ORDER]
        self.before = self.records()

    def records(self) -> list[dict[str, Any]]:
        body = {"ids": self.ids, "include": ["*", "task"]}
        return self.api.post("records/bulkGet", body)  # type: ignore[no-any-return]

    def statuses(self) -> list[str | None]:
        return self.api.statuses(self.ids)

    def managers(self) -> list[bool]:
        """Whether each has a manager."""
        return [r["manager_name"] is not None for r in self.records()]

    def tasks(self) -> list[bool]:
        """Whether each has a task."""
        return [r["task"] is not None for r in self.records()]

    def stacks(self) -> list[list[str]]:
        return stacks(self.conninfo, *self.ids)

    def claimable(self) -> list[int]:
        """Which of them a manager gets."""
        tasks = Manager(self.api, tags=[self.tag]).claim()
        return [self.ids.index(t["record_id"]) for t in tasks]

    def unchanged(self, *numbers: int) -> bool:
        now = self.records()
        return all(now[n] == self.before[n] for n in numbers)


@pytest.fixture
def seven(shared: Any, shared_api: Http) -> Seven:
    return Seven(shared_api, shared.conninfo)


def test_reset_runs_only_what_failed_again(seven: Seven) -> None:
    answer = do(seven.api, "reset", *seven.ids)
    assert (changed(answer), refused(answer), children(answer)) == ([3], [0, 1, 2, 4, 5, 6], 0)
    after = seven.records()[3]
    assert (after["status"], after["manager_name"]) == ("waiting", None)
    assert after["modified_on"] > seven.before[3]["modified_on"]
    assert (after["task"]["tag"], after["task"]["priority"]) == (seven.tag, 1)
    assert seven.unchanged(0, 1, 2, 4, 5, 6)
    assert seven.claimable() == [0, 3]


def test_cancel_stops_what_is_not_finished(seven: Seven) -> None:
    answer = do(seven.api, "cancel", *seven.ids)
    assert changed(answer) == [0, 2, 3]
    assert seven.tasks() == [False] * 7
    assert seven.managers() == [False, True, False, True, False, False, True]
    assert [s[-1] for s in seven.stacks() if s] == ["waiting", "waiting", "error", "waiting", "waiting", "complete"]
    assert seven.unchanged(1, 4, 5, 6)
    assert seven.claimable() == []


def test_invalidate_applies_to_what_is_complete(seven: Seven) -> None:
    answer = do(seven.api, "invalidate", *seven.ids)
    assert changed(answer) == [1]
    assert seven.records()[1]["manager_name"] == seven.before[1]["manager_name"] is not None
    assert seven.tasks() == [True, False, True, True, False, False, False]
    assert seven.unchanged(0, 2, 3, 4, 5, 6)
    assert seven.claimable() == [0]


def test_delete_takes_all_but_what_is_deleted(seven: Seven) -> None:
    answer = do(seven.api, "delete", *seven.ids, UNKNOWN)
    assert (changed(answer), refused(answer)) == ([0, 1, 2, 3, 4, 6], [5, 7])
    assert seven.managers() == [False, True, False, True, False, False, True]
    assert seven.tasks() == [False] * 7
    kept = [1, 3, 6]
    assert [seven.records()[n]["manager_name"] for n in kept] == [seven.before[n]["manager_name"] for n in kept]


def test_removal_takes_all_and_does_not_mind_what_is_not_there(seven: Seven) -> None:
    answer = do(seven.api, "remove", *seven.ids, UNKNOWN)
    assert answer == {"error_description": None, "errors": [], "deleted_idx": list(range(8)), "n_children_deleted": 0}
    assert seven.statuses() == [None] * 7


def test_stacks_grow_and_are_walked_back_step_by_step(seven: Seven) -> None:
    counts = [len(changed(do(seven.api, action, *seven.ids))) for action in ("cancel", "invalidate", "delete")]
    assert counts == [3, 1, 6]
    assert seven.stacks() == [
        ["waiting", "cancelled"],
        ["complete", "invalid"],
        ["waiting", "cancelled"],
        ["error", "cancelled"],
        ["waiting", "cancelled"],
        ["waiting"],
        ["complete", "invalid"],
    ]
    assert changed(do(seven.api, "undelete", *seven.ids)) == list(range(7))
    assert seven.statuses() == ["cancelled", "invalid", "cancelled", "cancelled", "cancelled", "waiting", "invalid"]
    assert seven.tasks() == [False] * 5 + [True, False]
    assert seven.claimable() == [5]
    assert changed(do(seven.api, "uncancel", *seven.ids)) == [0, 2, 3, 4]
    assert seven.statuses() == ["waiting", "invalid", "waiting", "error", "waiting", "running", "invalid"]
    assert seven.managers() == [False, True, False, True, False, True, True]
    assert seven.claimable() == [0, 2, 4], "not what had failed"
    assert changed(do(seven.api, "uninvalidate", *seven.ids)) == [1, 6]
    assert seven.stacks() == [[]] * 7
    assert seven.statuses() == ["running", "complete", "running", "error", "running", "running", "complete"]


@pytest.mark.parametrize("action", ["reset", "cancel", "uncancel", "invalidate", "uninvalidate", "delete", "undelete"])
def test_what_does_not_exist_is_an_error_of_its_position(shared_api: Http, action: str) -> None:
    answer = do(shared_api, action, UNKNOWN)
    assert (changed(answer), children(answer), answer["error_description"]) == ([], 0, None)
    assert answer["errors"] == [[0, f"Record {UNKNOWN} does not exist"]]


@pytest.mark.parametrize("how", ["farewell", "silence"])
def test_what_a_manager_that_leaves_was_running_waits_again(shared: Any, shared_api: Http, how: str) -> None:
    tag = new_tag()
    ids = add(shared_api, 6, compute_tag=tag)
    leaving, staying = Manager(shared_api, tags=[tag]), Manager(shared_api, tags=[tag])
    mine, others = leaving.claim(4), staying.claim(2)
    before = shared_api.post("records/bulkGet", {"ids": ids})
    if how == "farewell":
        leaving.beat("inactive")
    else:
        silence(shared.conninfo, leaving)
    after = shared_api.post("records/bulkGet", {"ids": ids})
    assert [r["status"] for r in after] == ["waiting"] * 4 + ["running"] * 2
    assert [r["manager_name"] for r in after] == [None] * 4 + [staying.name] * 2
    assert all(new["modified_on"] > old["modified_on"] for new, old in zip(after[:4], before[:4], strict=True))
    assert after[4:] == before[4:]
    assert [t["record_id"] for t in staying.claim()] == ids[:4]
    assert [t["record_id"] for t in (*mine, *others)] == ids


def test_a_finished_optimization_goes_and_comes_back_with_its_steps(shared_api: Http) -> None:
    parent, steps = family(shared_api)
    assert children(do(shared_api, "delete", parent)) == len(steps)
    assert shared_api.statuses([parent, *steps]) == ["deleted"] * 3
    assert children(do(shared_api, "undelete", parent)) == len(steps)
    assert shared_api.statuses([parent, *steps]) == ["complete"] * 3


@pytest.mark.parametrize(("action", "left"), [("remove", None), ("remove_alone", "complete")])
def test_what_was_deleted_can_be_removed_then(shared_api: Http, action: str, left: str | None) -> None:
    parent, steps = family(shared_api)
    do(shared_api, "delete_alone", parent)
    assert shared_api.statuses([parent, *steps]) == ["deleted", "complete", "complete"]
    answer = do(shared_api, action, parent)
    assert (changed(answer), children(answer)) == ([0], 0 if left else 2)
    assert shared_api.statuses([parent, *steps]) == [None, left, left]


def test_a_new_tag_is_refused_by_what_is_finished(shared_api: Http) -> None:
    ids = one_of_each(shared_api)
    before = [shared_api.record(ids[s]) for s in ("waiting", "complete")]
    old = task_of(shared_api, ids["running"])["tag"]
    answer = do(shared_api, "modify", ids["waiting"], ids["complete"], compute_tag="NewTag")
    assert (changed(answer), refused(answer), children(answer)) == ([0], [1], 0)
    assert task_of(shared_api, ids["waiting"])["tag"] == "newtag"
    assert task_of(shared_api, ids["running"])["tag"] == old
    assert [shared_api.record(ids[s]) for s in ("waiting", "complete")] == before


def test_a_running_record_keeps_running_under_its_new_tag(shared_api: Http) -> None:
    tag, later = new_tag(), new_tag()
    (record_id,) = add(shared_api, compute_tag=tag)
    manager = Manager(shared_api, tags=[tag])
    (task,) = manager.claim()
    before = shared_api.record(record_id)
    assert changed(do(shared_api, "modify", record_id, compute_tag=later, compute_priority=2)) == [0]
    assert shared_api.record(record_id) == before
    manager.beat("inactive")
    assert Manager(shared_api, tags=[tag]).claim() == []
    (again,) = Manager(shared_api, tags=[later]).claim()
    assert (again["record_id"], again["id"]) == (record_id, task["id"] + 1)


def test_a_comment_is_refused_by_what_does_not_exist(shared_api: Http) -> None:
    (record_id,) = add(shared_api)
    before = shared_api.record(record_id)
    answer = do(shared_api, "comment", record_id, UNKNOWN, comment="first")
    assert (changed(answer), children(answer)) == ([0], 0)
    ((position, text),) = answer["errors"]
    assert (position, "does not exist" in text) == (1, True)
    do(shared_api, "comment", record_id, record_id, comment="second")
    comments = shared_api.get(f"records/singlepoint/{record_id}/comments")
    assert [(c["record_id"], c["username"], c["comment"]) for c in comments] == [
        (record_id, None, "first"),
        (record_id, None, "second"),
    ]
    assert comments[0]["timestamp"] < comments[1]["timestamp"]
    assert shared_api.record(record_id) == before


def test_an_empty_tag_is_none_at_all(shared_api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(shared_api, compute_tag=tag)
    assert changed(do(shared_api, "modify", record_id, compute_tag="", compute_priority="high")) == [0]
    assert (task_of(shared_api, record_id)["tag"], task_of(shared_api, record_id)["priority"]) == (tag, 2)


def test_all_steps_of_a_long_optimization_are_removed_with_it(shared_api: Http) -> None:
    tag = new_tag()
    (parent,) = add(shared_api, kind="optimization", spec=OPTIMIZATION, compute_tag=tag)
    manager = Manager(shared_api, tags=[tag])
    (task,) = manager.claim()
    result = make_result(task)
    step = result["trajectory"][0]
    moved = [[*step["molecule"]["geometry"][:-1], 9.0 + n / 8] for n in range(98)]
    result["trajectory"] = [{**step, "molecule": {**step["molecule"], "geometry": m}} for m in moved]
    assert manager.give_one(task["id"], result | {"energies": [-1.0] * 98}) is None
    steps = shared_api.get(f"records/optimization/{parent}/trajectory")
    assert len(steps) == 98
    answer = do(shared_api, "remove", parent)
    assert (changed(answer), children(answer)) == ([0], 98)
    assert shared_api.statuses(steps) == [None] * 98


def test_a_lost_attempt_is_in_the_history_of_the_record(shared: Any, shared_api: Http) -> None:
    (record_id,) = add(shared_api, compute_tag=(tag := new_tag()))
    for outcome in ("lost", "stopped", "error"):
        manager = Manager(shared_api, tags=[tag])
        (task,) = manager.claim()
        if outcome == "lost":
            silence(shared.conninfo, manager)
        elif outcome == "stopped":
            manager.beat("inactive")
        else:
            manager.give({task["id"]: failure()})
    seen = [e for e in shared_api.get(f"records/{record_id}/history") if e["event"] == "attempt"]
    assert [(e["attempt_no"], e["outcome"]) for e in seen] == [(1, "lost"), (2, "stopped"), (3, "error")]
    assert len(shared_api.record(record_id, "compute_history")["compute_history"]) == 1


def test_reset_clears_what_an_error_should_not_have_on_its_stack(shared: Any, shared_api: Http) -> None:
    record_id = one_of_each(shared_api)["error"]
    sql(shared.conninfo, "UPDATE record SET stack = '{waiting}' WHERE id = %s", record_id)
    assert changed(do(shared_api, "reset", record_id)) == [0]
    assert stacks(shared.conninfo, record_id) == [[]]


def test_what_is_deleted_with_nothing_on_its_stack_stays_deleted(shared: Any, shared_api: Http) -> None:
    record_id = one_of_each(shared_api)["deleted"]
    sql(shared.conninfo, "UPDATE record SET stack = '{}' WHERE id = %s", record_id)
    assert refused(do(shared_api, "undelete", record_id)) == [0]
    assert shared_api.statuses([record_id]) == ["deleted"]
