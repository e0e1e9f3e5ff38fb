"""Whether a failed record runs again by itself: the protocol's table, limits by class, and what must always hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qchive.diagnosis import ErrorClass, classify
from qchive.server.retrying import Failed, again
from qchive.server.settings import AutoReset

PROTOCOL: dict[str, Any] = {"unknown_error": 2, "random_error": 1, "compute_lost": 1}

# the settings beside these limits, error types one after the other, whether it runs again after each
TABLE: list[tuple[dict[str, Any], str, str]] = [
    ({}, "foo bar baz", "yes yes no"),
    ({}, "random_error random_error", "yes no"),
    ({}, "random_error foo foo foo", "yes yes yes no"),
    ({}, "ManagerLost KilledWorker", "yes no"),
    ({}, "foo random_error ManagerLost foo foo", "yes yes yes yes no"),
    ({}, "foo foo foo random_error", "yes yes no no"),
    ({}, "internal_fractal_error", "no"),
    ({}, "internal_fractal_error foo", "no no"),
    ({}, "foo internal_fractal_error", "yes no"),
    ({}, "input_error", "no"),
    ({}, "foo convergence_error foo", "yes no no"),
    ({}, "resource_error wall_time_error resource_error", "yes yes no"),
    ({"by_class": {"memory": 0}}, "resource_error", "no"),
    ({"by_class": {"memory": 1}}, "resource_error foo resource_error", "yes yes no"),
    ({"by_class": {"convergence": 1}}, "convergence_error convergence_error", "yes no"),
    ({"by_class": {"input": None, "convergence": None}}, "input_error convergence_error foo", "yes yes no"),
    ({"by_class": {"lost": 3}}, "ManagerLost KilledWorker BrokenProcessPool ManagerLost", "yes yes yes no"),
    ({"by_class": {"server": None}}, "internal_fractal_error", "no"),
    ({"by_class": {"server": 1}}, "internal_fractal_error internal_fractal_error", "yes no"),
    ({"unknown_error": 0}, "foo", "no"),
    ({"enabled": False}, "foo random_error", "no no"),
]


def _settings(more: dict[str, Any]) -> AutoReset:
    return msgspec.convert({"enabled": True, **PROTOCOL, **more}, AutoReset)


@pytest.mark.parametrize(("more", "types", "wanted"), TABLE, ids=[f"{t} {m or ''}" for m, t, _ in TABLE])
def test_it_runs_again_until_a_budget_is_used_up(more: dict[str, Any], types: str, wanted: str) -> None:
    failed = [Failed(name, classify(name, "")) for name in types.split()]
    found = ["no" if again(failed[: n + 1], _settings(more)) is None else "yes" for n in range(len(failed))]
    assert " ".join(found) == wanted


def test_the_reason_says_which_budget_and_how_much_of_it() -> None:
    settings = _settings({"random_error": 5, "by_class": {"memory": 3}})
    random, memory = Failed("random_error", ErrorClass.random), Failed("resource_error", ErrorClass.memory)
    assert again([random], settings) == "auto_reset: random_error 1 of 5"
    assert again([memory, random, memory], settings) == "auto_reset: memory 2 of 3"


def test_nothing_that_failed_is_nothing_to_run_again() -> None:
    assert again([], _settings({})) is None


@pytest.mark.parametrize(
    "text", ['{"by_class": {"nonsense": 1}}', '{"by_class": {"input": -1}}', '{"random_error": -1}']
)
def test_settings_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=AutoReset)


FAILED = st.builds(
    lambda name: Failed(name, classify(name, "")), st.sampled_from(sorted({t for _, n, _ in TABLE for t in n.split()}))
)


@given(st.lists(FAILED, max_size=12), FAILED)
def test_one_more_failure_never_makes_it_run_again(failed: list[Failed], one: Failed) -> None:
    if failed and again(failed, _settings({})) is None:
        assert again([*failed, one], _settings({})) is None


@given(st.lists(FAILED, min_size=20, max_size=30))
def test_every_sequence_of_failures_comes_to_an_end(failed: list[Failed]) -> None:
    assert again(failed, _settings({"by_class": {"input": 4, "convergence": 4}})) is None
