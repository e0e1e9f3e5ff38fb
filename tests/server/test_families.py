"""How actions spread over families: to whom, from whom, and whom they spare."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acting import changed, children, do, last_operation, link, new_tag, refused, stacks
from tests.factories import Http, Manager, add, failure, make_result


class Families:
    """Records by name, each in the status it should have, and who is whose child."""

    def __init__(self, api: Http, conninfo: str, statuses: dict[str, str], **links: str) -> None:
        self.api, self.conninfo, tag = api, conninfo, new_tag()
        self.ids = dict(zip(statuses, add(api, len(statuses), compute_tag=tag), strict=True))
        manager = Manager(api, tags=[tag])
        tasks = {t["record_id"]: t for t in manager.claim()}
        for name, status in statuses.items():
            task = tasks[self.ids[name]]
            if status in ("complete", "invalid", "error"):
                manager.give({task["id"]: failure() if status == "error" else make_result(task)})
            for action in {"cancelled": ["cancel"], "deleted": ["delete"], "invalid": ["invalidate"]}.get(status, []):
                do(api, action, self.ids[name])
            if status == "waiting":
                do(api, "cancel", self.ids[name])
                do(api, "uncancel", self.ids[name])
        for parent, names in links.items():
            link(conninfo, self.ids[parent], *(self.ids[c] for c in names))
        assert self.statuses() == statuses

    def statuses(self) -> dict[str, str | None]:
        return dict(zip(self.ids, self.api.statuses(list(self.ids.values())), strict=True))

    def do(self, action: str, *names: str) -> dict[str, Any]:
        return do(self.api, action, *(self.ids[n] for n in names))


CASES: dict[str, tuple[dict[str, str], dict[str, str], str, str, str, dict[str, str]]] = {
    # what it shows: statuses, children of each, action, on whom, and whom that changes to what
    "a child takes its parents and siblings along": (
        {"p": "running", "c": "waiting", "d": "error", "e": "complete"},
        {"p": "cde"}, "cancel", "c", "pcd", {"p": "cancelled", "c": "cancelled", "d": "cancelled"},
    ),
    "a grandchild takes all above it along": (
        {"g": "waiting", "p": "error", "c": "running"},
        {"g": "p", "p": "c"}, "cancel", "c", "gpc", {"g": "cancelled", "p": "cancelled", "c": "cancelled"},
    ),
    "a child that another parent at work needs is spared": (
        {"a": "waiting", "b": "waiting", "s": "waiting", "o": "waiting"},
        {"a": "so", "b": "s"}, "cancel", "a", "ao", {"a": "cancelled", "o": "cancelled"},
    ),
    "a child whose other parent is finished is not spared by cancel": (
        {"a": "waiting", "b": "complete", "s": "waiting"},
        {"a": "s", "b": "s"}, "cancel", "a", "as", {"a": "cancelled", "s": "cancelled"},
    ),
    "a child whose other parent is finished is spared by delete": (
        {"a": "complete", "b": "complete", "s": "complete", "o": "complete"},
        {"a": "so", "b": "s"}, "delete", "a", "ao", {"a": "deleted", "o": "deleted"},
    ),
    "a child whose other parent is deleted goes too": (
        {"a": "complete", "b": "deleted", "s": "complete"},
        {"a": "s", "b": "s"}, "delete", "a", "as", {"a": "deleted", "s": "deleted"},
    ),
    "what a spared child needs is spared too": (
        {"a": "waiting", "b": "waiting", "s": "waiting", "t": "waiting"},
        {"a": "s", "b": "s", "s": "t"}, "cancel", "a", "a", {"a": "cancelled"},
    ),
    "what a spared child that is finished once needed is not spared": (
        {"a": "waiting", "b": "waiting", "s": "complete", "t": "waiting"},
        {"a": "s", "b": "s", "s": "t"}, "cancel", "a", "at", {"a": "cancelled", "t": "cancelled"},
    ),
    "both parents of a shared child fall with it": (
        {"a": "waiting", "b": "waiting", "s": "waiting"},
        {"a": "s", "b": "s"}, "cancel", "s", "abs", {"a": "cancelled", "b": "cancelled", "s": "cancelled"},
    ),
    "a deleted child takes its siblings along": (
        {"p": "running", "c": "waiting", "d": "complete"},
        {"p": "cd"}, "delete", "c", "pcd", {"p": "deleted", "c": "deleted", "d": "deleted"},
    ),
    "a child deleted alone takes its parents only": (
        {"g": "waiting", "p": "invalid", "c": "waiting", "d": "complete"},
        {"g": "p", "p": "cd"}, "delete_alone", "c", "gpc", {"g": "deleted", "p": "deleted", "c": "deleted"},
    ),
    "a parent deleted alone leaves its children": (
        {"p": "waiting", "c": "waiting"},
        {"p": "c"}, "delete_alone", "p", "p", {"p": "deleted"},
    ),
    "what is built on an invalid record is invalid, or stops": (
        {"f": "complete", "w": "waiting", "r": "running", "e": "error", "x": "cancelled", "c": "complete"},
        {"f": "c", "w": "c", "r": "c", "e": "c", "x": "c"}, "invalidate", "c", "fwrec",
        {"f": "invalid", "c": "invalid", "w": "cancelled", "r": "cancelled", "e": "cancelled"},
    ),
    "children of an invalid record stay": (
        {"p": "complete", "c": "complete"},
        {"p": "c"}, "invalidate", "p", "p", {"p": "invalid"},
    ),
    "reset goes down": (
        {"g": "error", "p": "error", "c": "error", "d": "running"},
        {"g": "p", "p": "cd"}, "reset", "p", "pc", {"p": "waiting", "c": "waiting"},
    ),
    "reset goes through what is not reset": (
        {"p": "error", "c": "complete", "d": "error"},
        {"p": "c", "c": "d"}, "reset", "p", "pd", {"p": "waiting", "d": "waiting"},
    ),
    "uncancel revives also what was cancelled on its own": (
        {"p": "cancelled", "c": "cancelled", "d": "deleted"},
        {"p": "cd"}, "uncancel", "p", "pc", {"p": "waiting", "c": "waiting"},
    ),
    "uncancel of a child leaves its parent": (
        {"p": "cancelled", "c": "cancelled"},
        {"p": "c"}, "uncancel", "c", "c", {"c": "waiting"},
    ),
    "uninvalidate heals what is below": (
        {"p": "invalid", "c": "invalid", "d": "complete"},
        {"p": "cd"}, "uninvalidate", "p", "pc", {"p": "complete", "c": "complete"},
    ),
    "undelete brings children back": (
        {"p": "deleted", "c": "deleted", "d": "cancelled"},
        {"p": "cd"}, "undelete", "p", "pc", {"p": "waiting", "c": "waiting"},
    ),
    "what is refused reaches nobody": (
        {"p": "waiting", "c": "complete", "d": "waiting"},
        {"p": "cd"}, "cancel", "c", "", {},
    ),
    "what cannot be reset reaches nobody": (
        {"p": "running", "c": "error"},
        {"p": "c"}, "reset", "p", "", {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_action_reaches(shared: Any, shared_api: Http, case: str) -> None:
    before, links, action, on, reached, after = CASES[case]
    family = Families(shared_api, shared.conninfo, before, **links)
    answer = family.do(action, on)
    assert family.statuses() == before | after
    assert children(answer) == len(set(reached) - {on})
    assert (changed(answer), refused(answer)) == (([0], []) if on in reached else ([], [0]))


def test_relatives_that_were_asked_for_are_not_counted_as_children(shared: Any, shared_api: Http) -> None:
    statuses = {"p": "waiting", "c": "waiting", "d": "waiting"}
    family = Families(shared_api, shared.conninfo, statuses, p="cd")
    answer = family.do("cancel", "c", "p", "c")
    assert (changed(answer), children(answer)) == ([0, 1, 2], 1)


def test_the_operation_counts_as_the_answer_does(shared: Any, shared_api: Http) -> None:
    """Also a parent at work that was asked for too: invalidating does not apply to it, but its child takes it along."""
    family = Families(shared_api, shared.conninfo, {"p": "waiting", "q": "complete", "c": "complete"}, p="c", q="c")
    answer = family.do("invalidate", "p", "c", "c")
    assert family.statuses() == {"p": "cancelled", "q": "invalid", "c": "invalid"}
    assert (changed(answer), refused(answer), children(answer)) == ([0, 1, 2], [], 1)
    operation = shared_api.get(f"operations/{last_operation(shared_api, family.ids['c'])}")
    assert (operation["changed"], operation["relatives"], operation["refused"]) == (2, 1, 0)


def test_two_services_that_share_a_child_come_back_one_by_one(shared: Any, shared_api: Http) -> None:
    statuses = {"a": "complete", "b": "complete", "s": "complete", "x": "complete", "y": "complete"}
    family = Families(shared_api, shared.conninfo, statuses, a="sx", b="sy")
    assert children(family.do("delete", "a", "b")) == 3
    assert children(family.do("undelete", "a")) == 2
    back = {"a": "complete", "s": "complete", "x": "complete"}
    assert family.statuses() == {"b": "deleted", "y": "deleted"} | back
    assert children(family.do("undelete", "b")) == 1, "the shared child is back already"


def test_the_stack_of_a_relative_is_its_own(shared: Any, shared_api: Http) -> None:
    family = Families(shared_api, shared.conninfo, {"p": "running", "c": "error", "d": "cancelled"}, p="cd")
    family.do("cancel", "p")
    family.do("delete", "p")
    assert stacks(shared.conninfo, *family.ids.values()) == [
        ["waiting", "cancelled"],
        ["error", "cancelled"],
        ["waiting", "cancelled"],
    ]
    family.do("undelete", "p")
    family.do("uncancel", "p")
    assert family.statuses() == {"p": "waiting", "c": "error", "d": "waiting"}


def test_a_new_tag_with_a_status_is_for_those_asked_for_only(shared: Any, shared_api: Http) -> None:
    family = Families(shared_api, shared.conninfo, {"p": "waiting", "c": "waiting"}, p="c")
    do(shared_api, "cancel", family.ids["p"], compute_tag="elsewhere", compute_priority=2, comment="later")
    assert family.statuses() == {"p": "cancelled", "c": "cancelled"}
    family.do("uncancel", "p")
    p, c = (shared_api.record(i, "task", "comments") for i in family.ids.values())
    assert (p["task"]["tag"], p["task"]["priority"], len(p["comments"])) == ("elsewhere", 2, 1)
    assert (c["task"]["tag"] != "elsewhere", c["task"]["priority"], c["comments"]) == (True, 1, [])


@pytest.mark.parametrize("part", [{"compute_tag": "t"}, {"compute_priority": 0}])
def test_invalidating_and_retagging_at_once_applies_to_nothing(
    shared: Any, shared_api: Http, part: dict[str, Any]
) -> None:
    family = Families(shared_api, shared.conninfo, {"p": "complete", "q": "waiting"}, q="p")
    answer = do(shared_api, "invalidate", *family.ids.values(), **part)
    assert (changed(answer), refused(answer), children(answer)) == ([], [0, 1], 0)
    assert family.statuses() == {"p": "complete", "q": "waiting"}


def test_what_a_staying_record_refers_to_is_refused_by_name(shared: Any, shared_api: Http) -> None:
    statuses = {"p": "complete", "c": "complete", "d": "complete"}
    family = Families(shared_api, shared.conninfo, statuses, p="c", c="d")
    answer = family.do("remove", "c", "d", "d")
    assert answer["errors"] == [[n, "Integrity Error - may still be referenced"] for n in range(3)]
    assert (changed(answer), children(answer)) == ([], 0)
    answer = family.do("remove", "d", "c", "p")
    assert (changed(answer), children(answer)) == ([0, 1, 2], 0)
