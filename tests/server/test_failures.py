"""Failed records by what went wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.factories import SPEC, Http, Manager, add, claimed, failure, sql

from qchive.client.portal import PortalClient
from qchive.diagnosis import diagnose
from qchive.fingerprint import telling

REAL: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "unit" / "real_failures.json").read_text(encoding="utf-8")
)


def fail(api: Http, errors: list[dict[str, Any]], **more: Any) -> list[int]:
    """Ids of new records that fail with these errors."""
    manager, tasks = claimed(api, *["singlepoint"] * len(errors), **more)
    manager.give({t["id"]: failure(error=e) for t, e in zip(tasks, errors, strict=True)})
    return [t["record_id"] for t in tasks]


def error(message: str, error_type: str = "unknown_error") -> dict[str, Any]:
    return {"error_type": error_type, "error_message": message}


def test_failures_that_are_the_same_are_one_group(api: Http) -> None:
    ids = fail(api, [error(f"SCF not converged in {n} cycles") for n in (50, 60, 70, 80)])
    (group,) = api.post("records/errors", {})
    first, last = group.pop("first_seen"), group.pop("last_seen")
    assert group == {
        "fingerprint": diagnose("unknown_error", "SCF not converged in 1 cycles").fingerprint,
        "error_class": "convergence",
        "error_type": "unknown_error",
        "message": "SCF not converged in 80 cycles",
        "program": "psi4",
        "count": 4,
        "record_ids": ids[:0:-1],
    }
    assert first == last == api.record(ids[0], "compute_history")["compute_history"][0]["modified_on"]


def test_groups_are_of_one_program_and_the_most_frequent_comes_first(api: Http) -> None:
    fail(api, [error("one")] * 2)
    fail(api, [error("two")] * 3)
    manager = Manager(api, programs={"qcengine": ["1"], "xtb": ["1"]})
    add(api, spec={**SPEC, "program": "xtb"})
    (task,) = manager.claim()
    manager.give_one(task["id"], failure(error=error("one")))
    found = api.post("records/errors", {})
    assert [(g["message"], g["program"], g["count"]) for g in found] == [
        ("two", "psi4", 3),
        ("one", "psi4", 2),
        ("one", "xtb", 1),
    ]
    assert api.post("records/errors", {"limit": 1}) == found[:1]


def test_only_the_last_attempt_of_a_record_that_is_in_error_counts(api: Http) -> None:
    manager, (task, other) = claimed(api, "singlepoint", "singlepoint")
    manager.give({t["id"]: failure(error=error("first")) for t in (task, other)})
    api.patch("records", {"record_ids": [task["record_id"], other["record_id"]], "status": "waiting"})
    assert api.post("records/errors", {}) == []
    task, other = manager.claim()
    manager.give({task["id"]: failure(error=error("second")), other["id"]: failure(error=error("second"))})
    api.patch("records", {"record_ids": [other["record_id"]], "status": "cancelled"})
    (group,) = api.post("records/errors", {})
    assert (group["message"], group["record_ids"]) == ("second", [task["record_id"]])


def test_a_group_shows_the_end_of_a_traceback(api: Http) -> None:
    given = REAL["geometric_inner_scf"]
    fail(api, [{key: given[key] for key in ("error_type", "error_message")}])
    (group,) = api.post("records/errors", {})
    assert group["message"] == telling(given["error_message"])
    assert len(given["error_message"]) > 1000
    fail(api, [error("x" * 5000)])
    assert all(len(g["message"]) <= 300 for g in api.post("records/errors", {}))


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"memory", "disk", "input"}),
    ({"error_class": ["memory", "input"]}, {"memory", "input"}),
    ({"error_type": ["execution_error"]}, {"disk"}),
    ({"error_text": ["OUT OF"]}, {"memory"}),
    ({"compute_tag": ["a"]}, {"memory", "input"}),
    ({"compute_tag": ["a"], "error_class": ["random"]}, set()),
    ({"program": ["psi4"]}, {"memory", "disk", "input"}),
    ({"record_id": []}, set()),
    ({"status": ["waiting"]}, set()),
]


def test_groups_are_those_of_the_records_that_fit(api: Http) -> None:
    kinds = {
        "memory": error("out of memory"),
        "disk": error("No space left on device", "execution_error"),
        "input": error("no such thing", "input_error"),
    }
    manager = Manager(api)
    for name, tag in (("memory", "a"), ("disk", "b"), ("input", "a")):
        add(api, compute_tag=tag)
        (task,) = manager.claim()
        manager.give_one(task["id"], failure(error=kinds[name]))
    for given, wanted in FILTERS:
        found = {g["message"] for g in api.post("records/errors", given)}
        assert found == {kinds[name]["error_message"] for name in wanted}, given


def test_a_fingerprint_is_a_filter_for_records_and_for_actions(archive: Any, api: Http) -> None:
    ids = fail(api, [error("odd 1"), error("odd 2"), error("other")])
    with PortalClient(archive.address) as client:
        first, second = client.error_summary(compute_tag=api.record(ids[0], "task")["task"]["tag"])
        assert (first.count, second.count) == (2, 1)
        assert [r.id for r in client.query_records(fingerprint=first.fingerprint)] == [ids[1], ids[0]]
        assert client.error_summary(fingerprint=[first.fingerprint], limit=5) == [first]
        with pytest.raises(TypeError, match="there is no filter nonsense"):
            client.error_summary(nonsense=1)


def test_three_thousand_failures_are_five_groups(archive: Any, api: Http) -> None:
    add(api)
    sql(
        archive.conninfo,
        """
        WITH made AS (
            INSERT INTO record (kind, spec_id, status, attempt_no, requirement_id)
            SELECT r.kind, r.spec_id, 'error', 2, r.requirement_id
            FROM record r, generate_series(1, 3000) AS n
            RETURNING id
        )
        INSERT INTO attempt (record_id, attempt_no, outcome, error_type, error_message, error_class, fingerprint)
        SELECT id, no, 'error', 'unknown_error', 'message ' || id, 'unknown',
            CASE WHEN no = 1 THEN 'earlier' ELSE 'print' || least(id %% 10, 4) END
        FROM made, generate_series(1, 2) AS no
        """,
    )
    found = api.post("records/errors", {})
    assert next((g["fingerprint"], g["count"]) for g in found) == ("print4", 1800)
    assert sorted(g["count"] for g in found) == [300, 300, 300, 300, 1800]
    assert all(len(g["record_ids"]) == 3 and g["message"] == f"message {g['record_ids'][0]}" for g in found)
    assert sum(g["count"] for g in api.post("records/errors", {"limit": 2})) == 2100


def test_every_real_failure_is_told_from_the_others(api: Http) -> None:
    real = [{key: one[key] for key in ("error_type", "error_message")} for one in REAL.values()]
    for start in range(0, len(real), 10):
        fail(api, real[start : start + 10])
    found = api.post("records/errors", {})
    assert sum(g["count"] for g in found) == len(real)
    assert len(found) == len(real) - 3
    assert {g["error_class"] for g in found} >= {"input", "convergence", "memory", "lost", "random", "wall_time"}
