"""Looking at compute managers: by name, by filters, and which of them would run a task."""

from __future__ import annotations

from typing import Any

import pytest
from tests.factories import Http, Manager


@pytest.fixture(scope="module")
def three(shared_api: Http) -> dict[int, str]:
    """Names of three managers by id, of which the second has left."""
    managers = [Manager(shared_api, cluster=cluster) for cluster in ("small", "big", "big")]
    managers[1].beat("inactive")
    return {m.id: m.name for m in managers}


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, [3, 2, 1]),
        ({"manager_id": [1, 3, 99]}, [3, 1]),
        ({"manager_id": []}, []),
        ({"name": ["@1", "x"]}, [1]),
        ({"cluster": ["big"]}, [3, 2]),
        ({"cluster": ["big"], "status": ["ACTIVE"]}, [3]),
        ({"status": ["inactive"]}, [2]),
        ({"status": ["active", "inactive"]}, [3, 2, 1]),
        ({"hostname": ["node1", "x"]}, [3, 2, 1]),
        ({"modified_after": "2999-01-01T00:00:00"}, []),
        ({"modified_before": "2999-01-01T00:00:00"}, [3, 2, 1]),
        ({"limit": 2}, [3, 2]),
        ({"limit": 2, "cursor": 2}, [1]),
        ({"limit": 0}, []),
    ],
)
def test_managers_are_found_by_filters(
    shared_api: Http, three: dict[int, str], filters: dict[str, Any], wanted: list[int]
) -> None:
    body = {k: [three[1] if v == "@1" else v for v in x] if isinstance(x, list) else x for k, x in filters.items()}
    assert [m["id"] for m in shared_api.post("managers/query", body)] == wanted


def test_managers_are_found_by_name_in_order(api: Http) -> None:
    one, two = Manager(api), Manager(api)
    names = [two.name, "nobody", one.name, two.name]
    found = api.post("managers/bulkGet", {"names": names, "missing_ok": True})
    assert [m and m["id"] for m in found] == [two.id, None, one.id, two.id]
    for refusal in (
        api.refused("POST", "/api/v1/managers/bulkGet", {"names": names}),
        api.refused("GET", "/api/v1/managers/nobody"),
    ):
        assert (refusal.status, refusal.reply["msg"]) == (400, "Could not find all requested records")
    body = {"names": ["x"] * 1001, "missing_ok": True}
    assert api.refused("POST", "/api/v1/managers/bulkGet", body).reply["code"] == "limit_exceeded"


def test_managers_can_be_asked_for_in_part(api: Http) -> None:
    manager = Manager(api)
    some = api.get(f"managers/{manager.name}", include=["status", "nonsense"])
    assert some == {"id": manager.id, "name": manager.name, "status": "active"}
    some = api.post("managers/query", {"exclude": ["id", "programs"]})[0]
    assert "programs" not in some
    assert some["id"] == manager.id


def test_active_managers_that_would_run_a_task_are_named(api: Http) -> None:
    star, tagged = Manager(api), Manager(api, tags=["a", "b"])
    lacking = Manager(api, programs={"qcengine": ["1"]})
    Manager(api).beat("inactive")

    def found(*tags: str, programs: Any = (("psi4", []),)) -> set[str]:
        return set(api.post("managers/queryActive", {"programs": dict(programs), "compute_tag": list(tags)}))

    assert found("a") == {star.name, tagged.name}
    assert found("c", "B") == {star.name, tagged.name}
    assert found("c") == {star.name}
    assert found("*") == {star.name, tagged.name}
    assert found("c", programs=()) == {star.name, lacking.name}
    assert found("a", programs=(("PSI4", ["7"]), ("qcengine", None))) == {star.name, tagged.name}
