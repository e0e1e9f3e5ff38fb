"""Statuses and priorities as people write them."""

from __future__ import annotations

import pytest

from qchive.status import ACTIONS, BY_REVERT, BY_TARGET, Effect, PriorityEnum, RecordStatusEnum


def test_a_status_is_read_in_any_case() -> None:
    assert RecordStatusEnum("COMPLETE") is RecordStatusEnum.complete
    assert str(RecordStatusEnum.complete) == "RecordStatusEnum.complete"
    with pytest.raises(ValueError, match="lost"):
        RecordStatusEnum("lost")


def test_statuses_are_listed_in_the_order_that_people_want_to_see() -> None:
    assert [s.value for s in RecordStatusEnum] == [
        "complete", "error", "running", "waiting", "cancelled", "invalid", "deleted"
    ]  # fmt: skip


@pytest.mark.parametrize("value", [2, "high", "HIGH", PriorityEnum.high])
def test_a_priority_is_a_number_or_a_name(value: int | str) -> None:
    assert PriorityEnum.of(value) is PriorityEnum.high
    assert str(PriorityEnum.high) == "PriorityEnum.high"


@pytest.mark.parametrize("value", [3, -1, "urgent", "2", ""])
def test_other_priorities_are_refused(value: int | str) -> None:
    with pytest.raises(ValueError, match=r"priority|Priority"):
        PriorityEnum.of(value)


def test_requests_for_a_status_mean_the_actions_of_the_protocol() -> None:
    assert {s.value: a.name for s, a in BY_TARGET.items()} == {
        "waiting": "reset",
        "cancelled": "cancel",
        "invalid": "invalidate",
    }
    assert {s.value: a.name for s, a in BY_REVERT.items()} == {
        "cancelled": "uncancel",
        "invalid": "uninvalidate",
        "deleted": "undelete",
    }


def test_taking_an_action_back_needs_the_permission_of_its_opposite() -> None:
    opposites = [
        (one, other)
        for one in ACTIONS.values()
        for other in ACTIONS.values()
        if one.effect is Effect.push and other.effect is Effect.pop and one.target in other.sources
    ]
    assert {name for pair in opposites for name in (pair[0].name, pair[1].name)} == {
        a.name for a in ACTIONS.values() if a.effect in (Effect.push, Effect.pop)
    }
    for one, other in opposites:
        assert (one.may_undo, other.may_undo) == (other.may, one.may), one.name
