"""`qchive records`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.factories import Http, Manager, add, claim_and_return


def listed(qchive: Run, *options: object) -> list[int]:
    return [row["id"] for row in qchive("records", "list", "--json", *options).json]


def test_lists_are_newest_first_and_limited(qchive: Run, one_of_each: dict[str, int]) -> None:
    ids = listed(qchive)
    assert ids == sorted(ids, reverse=True)
    assert set(one_of_each.values()) < set(ids)
    assert listed(qchive, "--limit", 2) == ids[:2]


def test_lists_show_what_a_person_looks_for(qchive: Run, one_of_each: dict[str, int]) -> None:
    ended = qchive("records", "list", "--method", "hf")
    assert ended.code == 0
    for text in ("H2", "psi4", "geometric + psi4", "sto-3g", "-2.50000000", "complete", "running"):
        assert text in ended.out


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--status", "error"), ["error"]),
        (("--status", "running", "--status", "waiting"), ["waiting", "running"]),
        (("--kind", "optimization"), ["optimization"]),
        (("--method", "MP2"), ["error"]),
        (("--program", "psi4", "--kind", "optimization"), ["optimization"]),
        (("--program", "other"), ["waiting"]),
        (("--tag", "RARE"), ["waiting"]),
        (("--basis", "cc-pvdz"), []),
        (("--driver", "hessian"), []),
        (("--error-type", "convergence_error"), ["error"]),
        (("--error-text", "NOT CONVERGE"), ["error"]),
        (("--fingerprint", "none"), []),
        (("--modified-before", "2020-01-01"), []),
        (("--created-after", "2999-01-01"), []),
        (("--created-before", "2020-01-01"), []),
    ],
)
def test_filters_of_lists(qchive: Run, one_of_each: dict[str, int], options: tuple[str, ...], found: list[str]) -> None:
    assert listed(qchive, *options) == [one_of_each[name] for name in found]


def test_relatives_are_found(qchive: Run, one_of_each: dict[str, int]) -> None:
    steps = listed(qchive, "--parent", one_of_each["optimization"])
    assert len(steps) == 2
    assert listed(qchive, "--child", steps[0]) == [one_of_each["optimization"]]


def test_times_without_a_zone_are_those_of_this_machine(qchive: Run, one_of_each: dict[str, int]) -> None:
    hour = timedelta(hours=1)
    now = datetime.now(UTC).astimezone()
    assert listed(qchive, "--created-after", f"{now - hour:%Y-%m-%dT%H:%M}")
    assert listed(qchive, "--created-after", f"{now + hour:%Y-%m-%dT%H:%M}") == []


def test_records_of_a_worker_are_found(qchive: Run, api: Http) -> None:
    manager, other = Manager(api), Manager(api)
    (mine,) = add(api)
    claim_and_return(manager)
    add(api)
    claim_and_return(other)
    assert listed(qchive, "--worker", manager.name) == [mine]
    assert listed(qchive, "--any-worker", manager.name, "--id", mine) == [mine]


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--created-after", "soon"), "2026-01-31"), (("--status", "done"), "complete"), (("--limit", "0"), "1")],
)
def test_filters_that_make_no_sense_are_refused(qchive: Run, here: Any, options: tuple[str, ...], said: str) -> None:
    ended = qchive("records", "list", *options)
    assert ended.code == 2
    assert said in ended.err


def test_a_kind_that_does_not_exist_is_refused(qchive: Run, here: Any) -> None:
    ended = qchive("records", "list", "--kind", "magic")
    assert ended.code == 2
    assert "singlepoint" in ended.err


def test_showing_a_complete_record(qchive: Run, one_of_each: dict[str, int]) -> None:
    ended = qchive("records", "show", one_of_each["complete"])
    assert ended.code == 0
    for text in (
        "complete",
        "psi4 hf / sto-3g energy",
        "H2 (id",
        "-2.5000000000 Eh",
        "3.00 s",
        "psi4 1.9",
        "attempt 1",
    ):
        assert text in ended.out


def test_showing_a_failed_record_says_why_and_what_to_do(qchive: Run, one_of_each: dict[str, int]) -> None:
    failed = one_of_each["error"]
    ended = qchive("records", "show", failed)
    for text in ("convergence_error", "SCF did not converge", f"qchive records reset {failed}"):
        assert text in ended.out


def test_showing_a_waiting_record_says_what_it_waits_for(qchive: Run, one_of_each: dict[str, int]) -> None:
    ended = qchive("records", "show", one_of_each["waiting"])
    for text in ("tag rare", "priority normal", "No manager matches programs & tags", "other, qcengine"):
        assert text in ended.out


def test_showing_as_json_has_the_same_keys_for_every_record(qchive: Run, one_of_each: dict[str, int]) -> None:
    told = qchive("records", "show", "--json", *one_of_each.values()).json
    assert [one["id"] for one in told] == list(one_of_each.values())
    assert len({tuple(one) for one in told}) == 1
    by_id = {one["id"]: one for one in told}
    assert by_id[one_of_each["error"]]["error"]["error_type"] == "convergence_error"
    assert by_id[one_of_each["optimization"]]["energies"] == [-1.0, -1.5]
    assert by_id[one_of_each["complete"]]["native_files"] == ["input"]


@pytest.mark.parametrize("command", [["show"], ["wait"], ["output"]])
def test_an_unknown_id_is_named(qchive: Run, here: Any, command: list[str]) -> None:
    ended = qchive("records", *command, 4711)
    assert (ended.code, ended.out) == (1, "")
    assert "4711" in ended.err


def test_outputs_come_as_they_are(qchive: Run, one_of_each: dict[str, int]) -> None:
    complete, failed = one_of_each["complete"], one_of_each["error"]
    assert qchive("records", "output", complete).out == "converged after 9 cycles\n"
    assert qchive("records", "output", complete, "--native", "input").out == "molecule {\n}\n"
    assert qchive("records", "output", failed, "--error").out == "convergence_error: SCF did not converge\n"
    assert qchive("records", "output", failed).out == "iteration 1\n"


@pytest.mark.parametrize("options", [("--stderr",), ("--error",), ("--native", "orbitals")])
def test_an_output_that_is_not_there_is_an_error(
    qchive: Run, one_of_each: dict[str, int], options: tuple[str, ...]
) -> None:
    ended = qchive("records", "output", one_of_each["complete"], *options)
    assert (ended.code, ended.out) == (1, "")
    assert "has no" in ended.err


def test_one_output_at_a_time(qchive: Run, here: Any) -> None:
    assert qchive("records", "output", 1, "--stdout", "--stderr").code == 2


def test_waiting_ends_with_what_became_of_them(qchive: Run, one_of_each: dict[str, int]) -> None:
    good = qchive("records", "wait", one_of_each["complete"], one_of_each["optimization"], "--json")
    bad = qchive("records", "wait", one_of_each["complete"], one_of_each["error"])
    assert (good.code, good.json["counts"]) == (0, {"complete": 2})
    assert bad.code == 1
    assert "1 complete, 1 error" in bad.out


def test_waiting_gives_up_in_time(qchive: Run, one_of_each: dict[str, int]) -> None:
    ended = qchive("records", "wait", "--all", "--timeout", "0.2")
    assert (ended.code, ended.out) == (1, "")
    assert "2 of 2 records are not finished" in ended.err


def test_waiting_says_when_nobody_computes(qchive: Run, api: Http) -> None:
    (waiting,) = add(api)
    assert "No worker is active" in qchive("records", "wait", waiting, "--timeout", "0.1").err


@pytest.mark.parametrize("arguments", [(), ("1", "--all")])
def test_waiting_needs_ids_or_all(qchive: Run, here: Any, arguments: tuple[str, ...]) -> None:
    assert qchive("records", "wait", *arguments).code == 2


def test_records_are_counted_by_kind_and_status(qchive: Run, one_of_each: dict[str, int]) -> None:
    ended = qchive("records", "count", "--method", "hf", "--status", "complete", "--json")
    assert ended.json == {"count": 4, "by_status": {"optimization": {"complete": 1}, "singlepoint": {"complete": 3}}}
    assert "singlepoint" in qchive("records", "count").out
    assert qchive("records", "count", "--basis", "none").out == "no records\n"


def test_a_history_tells_attempts_actions_and_comments(qchive: Run, one_of_each: dict[str, int]) -> None:
    failed = one_of_each["error"]
    assert qchive("records", "reset", failed, "--reason", "the disk was full").code == 0
    assert qchive("records", "comment", failed, "--text", "once more").code == 0
    told = qchive("records", "history", failed).out
    for text in (
        "created",
        "attempt 1",
        "error (convergence_error)",
        "SCF did not converge",
        "reset: error → waiting",
        "because: the disk was full",
        "comment: once more",
    ):
        assert text in told
    events = qchive("records", "history", failed, "--json").json
    assert [e["event"] for e in events] == ["created", "attempt", "move", "comment"]


def test_a_history_outlives_its_record(qchive: Run, one_of_each: dict[str, int]) -> None:
    failed = one_of_each["error"]
    assert qchive("records", "delete", failed, "--for-good", "--yes").code == 0
    assert "removed for good" in qchive("records", "history", failed).out
