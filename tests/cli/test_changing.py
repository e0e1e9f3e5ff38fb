"""`qchive records reset` and its like: by ids, by filter, looked at before, asked about, and told as it went."""

from __future__ import annotations

from typing import Any

import pytest

from qchive.status import ACTIONS, RecordStatusEnum
from tests.cli.conftest import AtTerminal, Run
from tests.factories import OPTIMIZATION, Http, Manager, add, claim_and_return, complete


def test_every_action_is_a_command_with_its_text(qchive: Run) -> None:
    for action in ACTIONS.values():
        command = {"delete_alone": "delete", "remove": "delete"}.get(action.name, action.name)
        ended = qchive("records", command, "--help")
        assert ended.code == 0
        said = " ".join(ended.out.replace("│", " ").split())
        assert action.doc.split(";")[0].split(",")[0].split()[0] in said


# --- by ids -------------------------------------------------------------------------------------------------------


def test_actions_move_records(qchive: Run, api: Http) -> None:
    ids = add(api, 2)
    claim_and_return(Manager(api), limit=1)
    done, waiting = sorted(ids, key=lambda i: api.statuses([i])[0] != "complete")
    for command, record, status in (
        (["invalidate"], done, "invalid"),
        (["uninvalidate"], done, "complete"),
        (["cancel"], waiting, "cancelled"),
        (["uncancel"], waiting, "waiting"),
        (["delete"], done, "deleted"),
        (["undelete"], done, "complete"),
        (["delete", "--keep-children"], waiting, "deleted"),
    ):
        ended = qchive("records", *command, record)
        assert (ended.code, ended.out) == (0, "1 record changed\n")
        assert "To take operation" in ended.err
        assert api.statuses([record]) == [RecordStatusEnum(status)]


def test_what_cannot_be_moved_is_told_and_the_rest_is_moved(
    qchive: Run, one_of_each: dict[str, int], api: Http
) -> None:
    failed, done = one_of_each["error"], one_of_each["complete"]
    ended = qchive("records", "reset", failed, done, 4711, "--json")
    assert ended.code == 1
    assert (ended.json["changed"], ended.json["refused"]) == (1, 2)
    assert ended.json["reasons"] == [
        {"id": done, "reason": "is complete, so reset does not apply"},
        {"id": 4711, "reason": "does not exist"},
    ]
    assert ended.json["operation"]["undoable"] is True
    assert api.statuses([failed, done]) == ["waiting", "complete"]


def test_where_nothing_can_be_done_everything_is_refused(qchive: Run, one_of_each: dict[str, int]) -> None:
    ended = qchive("records", "reset", one_of_each["complete"])
    assert (ended.code, ended.out) == (1, "0 records changed\n")
    assert f"record {one_of_each['complete']} is complete, so reset does not apply" in ended.err
    assert "Operation" not in ended.err


def test_deleting_an_optimization_tells_of_its_steps(qchive: Run, one_of_each: dict[str, int]) -> None:
    assert (
        qchive("records", "delete", one_of_each["optimization"]).out == "1 record changed, and 2 relatives with them\n"
    )


def test_tag_and_priority_can_be_changed(qchive: Run, api: Http) -> None:
    (waiting,) = add(api, spec=OPTIMIZATION, kind="optimization")
    assert qchive("records", "modify", waiting, "--new-tag", "Urgent", "--new-priority", "HIGH").code == 0
    task = api.record(waiting, "task")["task"]
    assert (task["tag"], task["priority"]) == ("urgent", 2)


@pytest.mark.parametrize("options", [(), ("--new-priority", "soon")])
def test_a_change_that_changes_nothing_is_refused(qchive: Run, here: Any, options: tuple[str, ...]) -> None:
    assert qchive("records", "modify", 1, *options).code == 2


def test_comments_are_shown(qchive: Run, api: Http) -> None:
    (record,) = add(api)
    ended = qchive("records", "comment", record, record, 4711, "--text", "looks odd", "--json")
    assert (ended.code, ended.json["changed"], ended.json["refused"]) == (1, 1, 1)
    assert "looks odd" in qchive("records", "show", record).out


def test_reasons_are_kept(qchive: Run, api: Http) -> None:
    (record,) = add(api)
    done = qchive("records", "cancel", record, "--reason", "too large", "--json").json
    assert done["operation"]["reason"] == "too large"


# --- by filter ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("1", "--status", "error"), ("--dry-run",)])
def test_records_are_named_or_filtered(qchive: Run, here: Any, arguments: tuple[str, ...]) -> None:
    ended = qchive("records", "cancel", *arguments)
    assert ended.code == 2
    assert "name records by their ids" in ended.err


def test_an_option_that_does_not_exist_is_refused(qchive: Run, here: Any) -> None:
    assert qchive("records", "cancel", "--metod", "hf").code == 2


def test_a_look_changes_nothing(qchive: Run, one_of_each: dict[str, int], api: Http) -> None:
    ended = qchive("records", "cancel", "--program", "psi4", "--dry-run")
    assert ended.code == 0
    assert "cancel: 2 would change, 4 would be left alone" in ended.out
    look = qchive("records", "cancel", "--program", "psi4", "--dry-run", "--json").json
    assert (look["action"], look["count"], look["background"]) == ("cancel", 2, False)
    assert look["by_status"] == {"singlepoint": {"error": 1, "running": 1}}
    assert look["others"] == {"optimization": {"complete": 1}, "singlepoint": {"complete": 3}}
    assert [e["id"] for e in look["examples"]] == [one_of_each["error"], one_of_each["running"]]
    assert api.statuses([one_of_each["running"]]) == ["running"]


def test_ids_can_be_looked_at_too(qchive: Run, one_of_each: dict[str, int]) -> None:
    ids = one_of_each["error"], one_of_each["complete"]
    look = qchive("records", "reset", *ids, "--dry-run", "--json").json
    assert (look["count"], look["others"]) == (1, {"singlepoint": {"complete": 1}})


def test_without_terminal_nothing_is_done_unasked(qchive: Run, one_of_each: dict[str, int], api: Http) -> None:
    ended = qchive("records", "reset", "--status", "error")
    assert (ended.code, ended.out) == (2, "")
    assert "reset: 1 would change" in ended.err
    assert "no terminal" in ended.err
    assert api.statuses([one_of_each["error"]]) == ["error"]


def test_with_yes_it_is_done_unasked(qchive: Run, one_of_each: dict[str, int], api: Http) -> None:
    ended = qchive("records", "reset", "--status", "error", "--yes", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert (ended.json["changed"], ended.json["operation"]["filter"]) == (1, {"status": ["error"]})
    assert api.statuses([one_of_each["error"]]) == ["waiting"]


def test_where_nothing_fits_nothing_is_asked(qchive: Run, here: Any) -> None:
    ended = qchive("records", "reset", "--status", "error")
    assert (ended.code, ended.out) == (0, "0 records changed\n")


def test_a_person_who_says_yes_has_it_done(one_of_each: dict[str, int], api: Http) -> None:
    asked = AtTerminal("records", "cancel", "--status", "waiting", "--status", "running", "--reason", "no more")
    asked.asks("cancel 2 records? [y/N]")
    ended = asked.answer("y")
    assert (ended.code, ended.out) == (0, "2 records changed\n")
    assert "qchive undo " in ended.err
    assert api.statuses([one_of_each["waiting"], one_of_each["running"]]) == ["cancelled", "cancelled"]


@pytest.mark.parametrize("answer", ["n", ""])
def test_a_person_who_does_not_say_yes_has_nothing_done(one_of_each: dict[str, int], api: Http, answer: str) -> None:
    asked = AtTerminal("records", "cancel", "--status", "waiting")
    asked.asks("cancel 1 record? [y/N]")
    ended = asked.answer(answer)
    assert (ended.code, ended.out) == (2, "")
    assert "Nothing was done." in ended.err
    assert api.statuses([one_of_each["waiting"]]) == ["waiting"]


def test_what_changed_while_a_person_thought_is_not_done(api: Http) -> None:
    ids = add(api, 4)
    asked = AtTerminal("records", "cancel", "--status", "waiting")
    asked.asks("cancel 4 records?")
    claim_and_return(Manager(api), limit=2)
    ended = asked.answer("y")
    assert (ended.code, ended.out) == (3, "")
    assert "look again" in ended.err
    assert "cancelled" not in api.statuses(ids)


def test_how_much_may_have_changed_can_be_said(api: Http) -> None:
    add(api, 4)
    asked = AtTerminal("records", "cancel", "--status", "waiting", "--tolerance", "0.5")
    asked.asks("cancel 4 records?")
    claim_and_return(Manager(api), limit=2)
    assert asked.answer("y").out == "2 records changed\n"


# --- for good -----------------------------------------------------------------------------------------------------


def test_what_is_deleted_can_be_purged_by_filter(qchive: Run, api: Http) -> None:
    done, other = complete(api), complete(api)
    qchive("records", "delete", done)
    ended = qchive("records", "purge", "--method", "hf", "--yes")
    assert (ended.code, ended.out) == (0, "1 record changed\n")
    assert "cannot be taken back" in ended.err
    assert api.statuses([done, other]) == [None, "complete"]


def test_what_is_still_referred_to_is_not_purged(qchive: Run, api: Http, one_of_each: dict[str, int]) -> None:
    path = one_of_each["optimization"]
    (step, *_) = api.get(f"records/optimization/{path}/trajectory")
    qchive("records", "delete", step, "--keep-children")
    qchive("records", "undelete", path)
    qchive("records", "delete", step, "--keep-children")
    (state,) = api.statuses([path])
    ended = qchive("records", "purge", step, "--yes", "--json")
    assert ended.code == 1, state
    assert ended.json["reasons"] == [{"id": step, "reason": "is still referred to"}]


@pytest.mark.parametrize("command", [["purge"], ["delete", "--for-good"]])
def test_removal_for_good_asks_even_for_ids(qchive: Run, api: Http, command: list[str]) -> None:
    done = complete(api)
    qchive("records", "delete", done)
    assert qchive("records", *command, done).code == 2
    assert api.statuses([done]) == ["deleted"]
    assert qchive("records", *command, done, "--yes").code == 0
    assert api.statuses([done]) == [None]


def test_removal_for_good_can_be_looked_at_and_tells_what_stays(
    qchive: Run, api: Http, one_of_each: dict[str, int]
) -> None:
    path = one_of_each["optimization"]
    (step, *_) = api.get(f"records/optimization/{path}/trajectory")
    look = qchive("records", "delete", "--for-good", step, one_of_each["error"], "--dry-run", "--json")
    assert look.json == {"count": 2, "by_status": {"singlepoint": {"complete": 1, "error": 1}}}
    ended = qchive("records", "delete", "--for-good", step, one_of_each["error"], "--yes", "--json")
    assert (ended.code, ended.json["changed"], ended.json["operation"]) == (1, 1, None)
    assert ended.json["reasons"] == [{"id": step, "reason": "is still referred to"}]


@pytest.mark.parametrize("options", [("--status", "error"), ("1", "--reason", "why")])
def test_removal_for_good_takes_ids_and_no_reason(qchive: Run, here: Any, options: tuple[str, ...]) -> None:
    assert qchive("records", "delete", "--for-good", *options).code == 2
