"""`qchive status`."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import Run
from tests.factories import Http, Manager, add, claim_and_return, complete


def test_an_empty_archive_says_what_to_do(qchive: Run, here: Any) -> None:
    ended = qchive("status")
    assert ended.code == 0
    assert here.address in ended.out
    assert "qchive submit" in ended.out
    assert "No worker is active" in ended.out


def test_records_are_counted_by_kind_and_status(qchive: Run, api: Http) -> None:
    complete(api)
    complete(api, "optimization")
    manager = Manager(api)
    add(api, 2)
    manager.claim(1)
    found = qchive("status", "--json").json
    assert found["records"] == {
        "optimization": {"complete": 1},
        "singlepoint": {"complete": 3, "running": 1, "waiting": 1},
    }
    assert found["running"] == 1


def test_what_waits_is_told_with_what_it_needs(qchive: Run, api: Http) -> None:
    add(api, 3, compute_tag="big")
    add(api, 1, "optimization")
    found = qchive("status", "--json").json["waiting"]
    assert [(row["compute_tag"], row["count"], sorted(row["programs"])) for row in found] == [
        ("big", 3, ["psi4", "qcengine"]),
        ("*", 1, ["geometric", "psi4", "qcengine"]),
    ]
    assert "geometric" in qchive("status").out


def test_workers_are_shown_with_their_programs_until_they_leave(qchive: Run, api: Http) -> None:
    manager = Manager(api, cluster="attic")
    add(api)
    claim_and_return(manager)
    told = qchive("status").out
    assert "attic on node1" in told
    assert "psi4" in told
    manager.beat("inactive")
    assert "attic" not in qchive("status").out
