"""`qchive records`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qchive.status import ACTIONS, RecordStatusEnum
from tests.cli.conftest import Run
from tests.factories import OPTIMIZATION, SPEC, Http, Manager, add, claim_and_return, failure, make_molecule


@pytest.fixture
def one_of_each(api: Http) -> dict[str, int]:
    """A complete, a failed, a running and a waiting single point, and a complete optimization."""
    manager = Manager(api)
    output = {"stdout": "converged after 9 cycles\n", "native_files": {"input": "molecule {\n}\n"}}
    (complete,) = add(
        api, molecules=[make_molecule(symbols=("H", "H"))], spec={**SPEC, "protocols": {"native_files": "all"}}
    )
    claim_and_return(manager, **output)
    (failed,) = add(api, spec={**SPEC, "method": "mp2"})
    (task,) = manager.claim()
    manager.give_one(task["id"], failure(input_data={"stdout": "iteration 1\n"}))
    (optimization,) = add(api, kind="optimization")
    claim_and_return(manager)
    (running,) = add(api)
    manager.claim()
    (waiting,) = add(api, spec={**SPEC, "program": "other"}, compute_tag="rare")
    return {"complete": complete, "error": failed, "optimization": optimization, "running": running, "waiting": waiting}


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
        (("--created-after", "2999-01-01"), []),
        (("--created-before", "2020-01-01"), []),
    ],
)
def test_filters_of_lists(qchive: Run, one_of_each: dict[str, int], options: tuple[str, ...], found: list[str]) -> None:
    assert listed(qchive, *options) == [one_of_each[name] for name in found]


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
    assert listed(qchive, "--manager", manager.name) == [mine]


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
    assert ended.code == 1
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


def test_every_action_is_a_command_with_its_text(qchive: Run) -> None:
    for action in ACTIONS.values():
        ended = qchive("records", action.name.replace("_", "-"), "--help")
        assert ended.code == 0
        assert action.doc.split(";")[0].split(",")[0] in ended.out


def test_actions_move_records(qchive: Run, api: Http) -> None:
    ids = add(api, 2)
    claim_and_return(Manager(api), limit=1)
    done, waiting = sorted(ids, key=lambda i: api.statuses([i])[0] != "complete")
    for command, record, status in (
        ("invalidate", done, "invalid"),
        ("uninvalidate", done, "complete"),
        ("cancel", waiting, "cancelled"),
        ("uncancel", waiting, "waiting"),
        ("delete", done, "deleted"),
        ("undelete", done, "complete"),
        ("delete-alone", waiting, "deleted"),
    ):
        ended = qchive("records", command, record)
        assert (ended.code, ended.out) == (0, "1 record changed\n")
        assert api.statuses([record]) == [RecordStatusEnum(status)]


def test_what_cannot_be_moved_is_told_and_the_rest_is_moved(
    qchive: Run, one_of_each: dict[str, int], api: Http
) -> None:
    failed, complete = one_of_each["error"], one_of_each["complete"]
    ended = qchive("records", "reset", failed, complete, 4711, "--json")
    assert ended.code == 1
    assert ended.json["changed"] == [failed]
    assert [one["id"] for one in ended.json["refused"]] == [complete, 4711]
    assert api.statuses([failed, complete]) == ["waiting", "complete"]


def test_deleting_an_optimization_tells_of_its_steps(qchive: Run, one_of_each: dict[str, int]) -> None:
    assert (
        qchive("records", "delete", one_of_each["optimization"]).out == "1 record changed, and 2 relatives with them\n"
    )


def test_tag_and_priority_can_be_changed(qchive: Run, api: Http) -> None:
    (waiting,) = add(api, spec=OPTIMIZATION, kind="optimization")
    assert qchive("records", "modify", waiting, "--tag", "Urgent", "--priority", "HIGH").code == 0
    task = api.record(waiting, "task")["task"]
    assert (task["tag"], task["priority"]) == ("urgent", 2)


@pytest.mark.parametrize("options", [(), ("--priority", "soon")])
def test_a_change_that_changes_nothing_is_refused(qchive: Run, here: Any, options: tuple[str, ...]) -> None:
    assert qchive("records", "modify", 1, *options).code == 2


def test_comments_are_shown(qchive: Run, api: Http) -> None:
    (record,) = add(api)
    assert qchive("records", "comment", record, "--text", "looks odd").code == 0
    assert "looks odd" in qchive("records", "show", record).out
