"""Finding records: every filter, and paging."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.factories import OPTIMIZATION, SPEC, Http, Manager, add, claim_and_return, make_molecule, sql


class Place:
    """An archive with a little of everything, and names for the ids in it."""

    def __init__(self, api: Http) -> None:
        self.api = api
        one, two = make_molecule(1), make_molecule(2)
        keywords = {"maxiter": 50, "nested": {"a": 1, "b": [1, 2]}, "guess": "SAD"}
        self.energy = add(api, spec={**SPEC, "keywords": keywords}, molecules=[one])[0]
        self.gradient = add(api, spec={**SPEC, "driver": "gradient", "basis": None}, molecules=[two])[0]
        self.xtb = add(api, spec={**SPEC, "program": "xtb", "method": "GFN2-xTB", "basis": ""}, molecules=[one])[0]
        self.optimization = add(api, kind="optimization", molecules=[one])[0]
        self.manager = Manager(api, programs={"qcengine": ["1"], "psi4": ["1"], "geometric": ["1"]})
        claim_and_return(self.manager)
        self.path = api.get(f"records/optimization/{self.optimization}/trajectory")
        self.molecules = {
            "one": api.record(self.energy)["molecule_id"],
            "two": api.record(self.gradient)["molecule_id"],
            "final": api.record(self.optimization)["final_molecule_id"],
        }
        api.patch("records", {"record_ids": [self.gradient], "status": "invalid"})
        self.tagged = add(api, kind="optimization", spec={**OPTIMIZATION, "program": "Berny"}, compute_tag="T")[0]

    def ids(self, *names: str) -> list[int]:
        """Ids by name, newest first."""
        found: list[int] = []
        for name in names:
            value = getattr(self, name)
            found += value if isinstance(value, list) else [value]
        return sorted(found, reverse=True)


@pytest.fixture(scope="module")
def place(shared_api: Http) -> Place:
    return Place(shared_api)


ALL = ("energy", "gradient", "xtb", "optimization", "path", "tagged")


@pytest.mark.parametrize(
    ("kind", "filters", "wanted"),
    [
        ("", {}, ALL),
        ("", {"record_id": ["@energy", "@xtb", 10**9, -1]}, ("energy", "xtb")),
        ("", {"record_id": []}, ()),
        ("", {"record_type": ["optimization", "nonsense"]}, ("optimization", "tagged")),
        ("", {"record_type": []}, ()),
        ("", {"status": ["INVALID"]}, ("gradient",)),
        ("", {"status": ["waiting", "invalid"]}, ("gradient", "xtb", "tagged")),
        ("", {"status": []}, ()),
        ("", {"manager_name": ["@manager"]}, ("energy", "gradient", "optimization")),
        ("", {"manager_name": ["nobody"]}, ()),
        ("", {"history_manager_name": ["@manager", "nobody"]}, ("energy", "gradient", "optimization")),
        ("", {"parent_id": ["@optimization"]}, ("path",)),
        ("", {"child_id": ["@path0"]}, ("optimization",)),
        ("", {"parent_id": ["@energy"]}, ()),
        ("", {"dataset_id": [1]}, ()),
        ("", {"project_id": [1]}, ()),
        ("", {"compute_tag": ["t"]}, ("tagged",)),
        ("", {"owner_user": ["ann", 7]}, ()),
        ("", {"creator_user": []}, ()),
        ("", {"created_after": "2020-01-01T00:00:00"}, ALL),
        ("", {"created_before": "2020-01-01T00:00:00+02:00"}, ()),
        ("", {"modified_after": "2999-01-01T00:00:00Z"}, ()),
        ("", {"modified_before": "2999-01-01T00:00:00Z", "status": ["invalid"]}, ("gradient",)),
        ("singlepoint", {}, ("energy", "gradient", "xtb", "path")),
        ("singlepoint", {"record_type": ["optimization"]}, ()),
        ("singlepoint", {"program": ["PSI4"]}, ("energy", "gradient", "path")),
        ("singlepoint", {"program": ["xtb", "psi4"], "driver": ["energy"]}, ("energy", "xtb")),
        ("singlepoint", {"method": ["gfn2-XTB"]}, ("xtb",)),
        ("singlepoint", {"basis": [None]}, ("gradient", "xtb")),
        ("singlepoint", {"basis": [""]}, ("gradient", "xtb")),
        ("singlepoint", {"basis": ["STO-3G", None]}, ("energy", "gradient", "xtb", "path")),
        ("singlepoint", {"basis": []}, ()),
        ("singlepoint", {"molecule_id": ["@two"]}, ("gradient",)),
        ("singlepoint", {"keywords": [{"maxiter": 50}]}, ("energy",)),
        ("singlepoint", {"keywords": [{"nested": {"b": [2]}}]}, ("energy",)),
        ("singlepoint", {"keywords": [{"maxiter": 51}, {"guess": "SAD"}]}, ("energy",)),
        ("singlepoint", {"keywords": [{"guess": "sad"}]}, ()),
        ("singlepoint", {"keywords": [{}]}, ("energy", "gradient", "xtb", "path")),
        ("singlepoint", {"keywords": []}, ()),
        ("singlepoint", {"keywords": [{"x": 2**80, "y": "\\u0000 \x00"}]}, ()),
        ("optimization", {"program": ["GEOMETRIC"]}, ("optimization",)),
        ("optimization", {"program": ["berny"]}, ("tagged",)),
        ("optimization", {"qc_program": ["psi4"]}, ("optimization", "tagged")),
        ("optimization", {"qc_method": ["hf"], "qc_basis": ["sto-3g"]}, ("optimization", "tagged")),
        ("optimization", {"qc_basis": [None]}, ()),
        ("optimization", {"initial_molecule_id": ["@one"]}, ("optimization",)),
        ("optimization", {"final_molecule_id": ["@one"]}, ()),
        ("optimization", {"final_molecule_id": ["@final"]}, ("optimization",)),
    ],
)
def test_a_filter_finds_what_fits(place: Place, kind: str, filters: dict[str, Any], wanted: tuple[str, ...]) -> None:
    names = {
        "@manager": place.manager.name,
        "@path0": place.path[0],
        **{f"@{name}": i for name, i in place.molecules.items()},
        **{f"@{name}": getattr(place, name) for name in ALL},
    }
    body = {
        key: [names.get(v, v) if isinstance(v, str) else v for v in value] if isinstance(value, list) else value
        for key, value in filters.items()
    }
    path = f"records/{kind}/query" if kind else "records/query"
    assert place.api.post(path, body) == place.ids(*wanted)


def test_times_are_inclusive(place: Place) -> None:
    created = place.api.record(place.xtb)["created_on"]
    found = place.api.post("records/query", {"created_before": created, "created_after": created})
    assert found == [place.xtb]


def test_pages_go_on_below_the_cursor(place: Place) -> None:
    found: list[int] = []
    cursor = None
    while page := place.api.post("records/query", {"limit": 3, "cursor": cursor}):
        assert len(page) <= 3
        found += page
        cursor = page[-1]
    assert found == place.ids(*ALL)
    assert place.api.post("records/query", {"limit": 0}) == []


def test_no_page_is_longer_than_the_limit(archive: Any, api: Http) -> None:
    add(api, 300)
    sql(
        archive.conninfo,
        "INSERT INTO record (kind, spec_id, requirement_id)"
        " SELECT r.kind, r.spec_id, r.requirement_id FROM record r, generate_series(1, 4)",
    )
    assert len(api.post("records/query", {"limit": 10**6})) == 1000
    assert len(api.post("records/singlepoint/query", {})) == 1000


def test_records_that_appear_between_pages_do_not_disturb(api: Http) -> None:
    ids = add(api, 6)
    first = api.post("records/query", {"limit": 3})
    thread = threading.Thread(target=add, args=(api,))
    thread.start()
    thread.join()
    assert first + api.post("records/query", {"limit": 3, "cursor": first[-1]}) == ids[::-1]


def test_counts_say_how_much_there_is(api: Http) -> None:
    add(api, 2)
    add(api, kind="optimization", compute_tag="t")
    found = api.get("records/counts")
    assert {(c["record_type"], c["status"], c["count"]) for c in found["records"]} == {
        ("singlepoint", "waiting", 2),
        ("optimization", "waiting", 1),
    }
    assert {(w["compute_tag"], tuple(w["programs"]), w["count"]) for w in found["waiting"]} == {
        ("*", ("psi4", "qcengine"), 2),
        ("t", ("geometric", "psi4", "qcengine"), 1),
    }
