"""Marks of the queue: they save reading, and never hide a task for longer than a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.factories import Http, Manager, add, sql

from qchive.server import marks
from qchive.server.marks import Candidate, Marks


def candidate(id: int, priority: int = 1, tag: str = "a") -> Candidate:
    return Candidate(id, tag, 1, priority, datetime(2026, 1, id, tzinfo=UTC))


def test_the_best_of_one_range_is_remembered() -> None:
    known = Marks()
    known.set("offer", [candidate(3), candidate(4)])
    assert known.get("offer") == candidate(3)
    assert known.get("another") is None


@pytest.mark.parametrize("found", [[], [candidate(3), candidate(4, priority=0)], [candidate(3), candidate(4, tag="b")]])
def test_several_ranges_have_no_mark(found: list[Candidate]) -> None:
    known = Marks()
    known.set("offer", [candidate(3)])
    known.set("offer", found)
    assert known.get("offer") is None


def test_a_mark_lasts_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MOMENT", 0.0)
    known = Marks()
    known.set("offer", [candidate(3)])
    assert known.get("offer") is None


def test_there_are_never_many_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MOST", 2)
    known = Marks()
    for offer in range(5):
        known.set(offer, [candidate(3)])
    assert [known.get(offer) is not None for offer in range(5)] == [False, False, False, False, True]


def test_a_task_before_the_mark_is_found_when_nothing_else_is(archive: Any, api: Http) -> None:
    manager = Manager(api, tags=["m"])
    first, second, third = add(api, 3, compute_tag="m")
    assert [t["record_id"] for t in manager.claim(1)] == [first]
    assert [t["record_id"] for t in manager.claim(1)] == [second]
    # Somebody gives the first one back: it is older than the mark.
    sql(archive.conninfo, f"UPDATE record SET status = 'waiting' WHERE id = {first}")
    assert {t["record_id"] for t in manager.claim(2)} == {first, third}


def test_more_urgent_tasks_go_before_the_mark(api: Http) -> None:
    manager = Manager(api, tags=["u"])
    add(api, 5, compute_tag="u")
    manager.claim(2)
    urgent = add(api, 2, compute_tag="u", compute_priority="high")
    assert [t["record_id"] for t in manager.claim(2)] == urgent
