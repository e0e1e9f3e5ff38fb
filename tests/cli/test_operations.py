"""`qchive undo` and `qchive operations`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qchive.server.settings import Settings
from tests.archive import prepared, running
from tests.cli.conftest import AtTerminal, Run
from tests.factories import Http, add, http
from tests.upkeep_process import upkeep


def cancelled(qchive: Run, *arguments: object) -> int:
    """The id of an operation that cancelled records."""
    return int(qchive("records", "cancel", *arguments, "--yes", "--json").json["operation"]["id"])


def test_an_operation_is_taken_back(qchive: Run, api: Http) -> None:
    ids = add(api, 3)
    operation = cancelled(qchive, "--status", "waiting", "--reason", "too many")
    ended = qchive("undo", operation, "--reason", "not that many", "--yes")
    assert (ended.code, ended.out) == (0, "3 records restored\n")
    assert "too many" in ended.err
    assert api.statuses(ids) == ["waiting"] * 3


def test_what_was_moved_since_is_left_and_told(qchive: Run, api: Http) -> None:
    ids = add(api, 3)
    operation = cancelled(qchive, *ids)
    qchive("records", "delete", ids[0])
    ended = qchive("undo", operation, "--yes")
    assert (ended.code, ended.out) == (1, "2 records restored\n")
    assert f"record {ids[0]}: Operation {operation + 1} moved it later" in ended.err
    told = qchive("operations", "show", operation + 2)
    assert f"record {ids[0]} was left alone" in told.err


def test_undoing_as_json(qchive: Run, api: Http) -> None:
    ids = add(api, 2)
    operation = cancelled(qchive, *ids)
    qchive("records", "uncancel", ids[1])
    ended = qchive("undo", operation, "--yes", "--json")
    assert (ended.code, ended.err) == (1, "")
    assert (ended.json["restored"], [one["id"] for one in ended.json["left"]]) == (1, [ids[1]])
    assert ended.json["operation"]["undoes"] == operation


def test_undoing_asks(qchive: Run, api: Http) -> None:
    ids = add(api)
    operation = cancelled(qchive, *ids)
    ended = qchive("undo", operation)
    assert (ended.code, api.statuses(ids)) == (2, ["cancelled"])
    asked = AtTerminal("undo", operation)
    asked.asks("take it back? [y/N]")
    assert asked.answer("y").out == "1 record restored\n"
    assert api.statuses(ids) == ["waiting"]


def test_what_cannot_be_taken_back_is_refused(qchive: Run, api: Http) -> None:
    (record,) = add(api)
    comment = qchive("records", "comment", record, "--text", "odd", "--json").json["operation"]
    ended = qchive("undo", comment["id"], "--yes")
    assert (comment["undoable"], ended.code) == (False, 1)
    assert "cannot be taken back" in ended.err
    assert qchive("undo", 4711, "--yes").code == 1


def test_operations_are_listed_newest_first_and_found(qchive: Run, api: Http) -> None:
    first, second = add(api, 2)
    mine, other = cancelled(qchive, first, "--reason", "mine"), cancelled(qchive, second)
    undone = qchive("undo", other, "--yes", "--json").json["operation"]["id"]

    def listed(*options: object) -> list[int]:
        return [one["id"] for one in qchive("operations", "list", "--json", *options).json]

    assert listed() == [undone, other, mine]
    assert listed("--limit", 2) == [undone, other]
    assert listed("--action", "cancel") == [other, mine]
    assert listed("--record", first) == [mine]
    assert listed("--before", "2020-01-01") == []
    assert listed("--after", "2020-01-01", "--user", "nobody") == []
    told = qchive("operations", "list").out
    for text in (f"undo of {other}", "mine", "complete"):
        assert text in told


def test_an_operation_is_shown_with_what_it_did(qchive: Run, api: Http) -> None:
    ids = add(api, 3, compute_tag="small")
    qchive("records", "modify", "--tag", "small", "--new-tag", "big", "--new-priority", "high", "--yes")
    operation = qchive("operations", "list", "--json").json[0]["id"]
    told = qchive("operations", "show", operation).out
    for text in ("modify", "compute_tag big, compute_priority 2", '{"compute_tag":["small"]}', "small", "normal"):
        assert text in told
    shown = qchive("operations", "show", operation, "--json", "--limit", 2).json
    assert [move["record_id"] for move in shown["moves"]] == ids[:2]


# --- in the background --------------------------------------------------------------------------------------------


@pytest.fixture
def small(databases: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An archive that does more than two records in the background; without upkeep, so that nothing goes on."""
    with prepared(databases) as conninfo, running(conninfo, Settings(operation_at_once=2)) as server:
        monkeypatch.setenv("QCHIVE_ADDRESS", server.address)
        yield server


def test_a_long_operation_is_waited_for(qchive: Run, small: Any) -> None:
    with http(small.address) as api:
        ids = add(api, 5)
        with upkeep(small.conninfo, small.settings):
            done = qchive("records", "cancel", "--status", "waiting", "--yes")
            assert (done.code, done.out) == (0, "5 records changed\n")
            (operation,) = qchive("operations", "list", "--json").json
            assert (operation["state"], operation["expected"]) == ("complete", 5)
            assert operation["job_id"] is not None
            assert qchive("undo", operation["id"], "--yes").out == "5 records restored\n"
        assert api.statuses(ids) == ["waiting"] * 5


def test_a_long_operation_can_be_left_and_stopped(qchive: Run, small: Any) -> None:
    with http(small.address) as api:
        ids = add(api, 5)
        begun = qchive("records", "cancel", *ids, "--no-wait")
        assert (begun.code, begun.out) == (0, "0 records changed so far\n")
        assert "runs in the background: qchive operations show 1" in begun.err
        assert "running" in qchive("operations", "show", 1).out
        assert qchive("operations", "stop", 1).out == "Operation 1 is stopped; 0 records changed\n"
        assert qchive("operations", "stop", 1, "--json").json["state"] == "stopped"
        assert api.statuses(ids) == ["waiting"] * 5
