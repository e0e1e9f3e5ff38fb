"""The one language of filters: each field finds what it should, by query as by action."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acting import by_filter, do, new_tag, preview
from tests.factories import OPTIMIZATION, SPEC, Http, Manager, add, failure, make_molecule, make_result, sql

from qchive.api.records import Selection


@pytest.fixture
def api(shared_api: Http) -> Http:
    """The tests of this file share a server: each works under tags of its own."""
    return shared_api


class Shelf:
    """A few records, each of which some filters find and others do not."""

    def __init__(self, api: Http, conninfo: str) -> None:
        self.api, self.conninfo = api, conninfo
        (self.plain,) = add(api, compute_tag="shelf-a")
        (self.other,) = add(api, compute_tag="shelf-b", spec=SPEC | {"method": "b3lyp", "basis": "6-31g"})
        (self.path,) = add(api, kind="optimization", compute_tag="shelf-a")
        bare = {"program": "xtb", "driver": "gradient", "method": "gfn2-xtb", "basis": None}
        (self.bare,) = add(api, compute_tag="shelf-b", spec=bare)
        (self.failed,) = add(api, compute_tag="shelf-c")
        self.manager, self.failing = (Manager(api, tags=["shelf-a", "shelf-b", "shelf-c"]) for _ in range(2))
        (task,) = self.failing.claim(compute_tags=["shelf-c"])
        error = {"error_type": "memory_error", "error_message": "No More Memory in line 7"}
        self.failing.give({task["id"]: failure() | {"error": error}})
        (task,) = [t for t in self.manager.claim(compute_tags=["shelf-a"]) if t["record_id"] == self.path]
        self.manager.give({task["id"]: make_result(task)})
        self.steps = api.get(f"records/optimization/{self.path}/trajectory")
        classify = "UPDATE attempt SET error_class = 'memory', fingerprint = 'f1' WHERE record_id = %s"
        sql(conninfo, classify, self.failed)
        sql(conninfo, "UPDATE record SET owner = 'ada' WHERE id = %s", self.other)
        late = "UPDATE record SET created_on = '2030-01-01Z', modified_on = '2031-01-01Z' WHERE id = %s"
        sql(conninfo, late, self.bare)
        self.names = {"plain": self.plain, "other": self.other, "path": self.path, "bare": self.bare}
        self.names |= {"failed": self.failed, "step0": self.steps[0], "step1": self.steps[1]}


@pytest.fixture(scope="module")
def shelf(shared: Any, shared_api: Http) -> Shelf:
    return Shelf(shared_api, shared.conninfo)


def _of(*names: str) -> Any:
    return lambda shelf: [shelf.names[n] for n in names]


# filter field -> value (or how to get it), whom it finds
FIELDS: dict[str, tuple[Any, str]] = {
    "record_id": (_of("plain", "step1"), "plain step1"),
    "record_type": (["optimization"], "path"),
    "manager_name": (lambda shelf: [shelf.failing.name], "failed"),
    "history_manager_name": (lambda shelf: [shelf.manager.name], "path"),
    "status": (["error", "running"], "failed plain"),
    "parent_id": (_of("path"), "step0 step1"),
    "child_id": (_of("step1"), "path"),
    "compute_tag": (["SHELF-B", "shelf-c"], "bare failed other"),
    "created_before": ("2029-01-01T00:00:00Z", "failed other path plain step0 step1"),
    "created_after": ("2029-01-01T00:00:00Z", "bare"),
    "modified_before": ("2030-06-01T00:00:00Z", "failed other path plain step0 step1"),
    "modified_after": ("2030-06-01T00:00:00Z", "bare"),
    "owner_user": (["ada", 7], "other"),
    "creator_user": (["ada"], "other"),
    "dataset_id": ([1], ""),
    "project_id": ([1], ""),
    "program": (["XTB"], "bare"),
    "driver": (["gradient"], "bare step0 step1"),
    "method": (["B3LYP", "gfn2-xtb"], "bare other"),
    "basis": ([None, "6-31g"], "bare other"),
    "error_class": (["memory"], "failed"),
    "error_type": (["memory_error"], "failed"),
    "error_text": (["nothing", "more MEMORY"], "failed"),
    "fingerprint": (["f1", "f2"], "failed"),
}


def test_each_field_of_the_filter_is_tried() -> None:
    assert set(FIELDS) == set(Selection.__struct_fields__)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_filter_finds(shelf: Shelf, field: str) -> None:
    value, found = FIELDS[field]
    value = value(shelf) if callable(value) else value
    everybody = {"record_id": list(shelf.names.values())}
    wanted = everybody | {field: value}
    expected = {shelf.names[n] for n in found.split()}
    seen = preview(shelf.api, "comment", wanted, comment="found")
    assert seen["count"] == len(expected)
    assert set(shelf.api.post("records/query", wanted)) == expected
    operation = shelf.api.post("operations", {"token": seen["token"]})
    assert operation["changed"] == len(expected)
    commented = sql(shelf.conninfo, "SELECT record_id FROM comment WHERE operation_id = %s", operation["id"])
    assert {i for (i,) in commented} == expected
    if isinstance(value, list) and field != "record_id":
        assert preview(shelf.api, "comment", everybody | {field: []}, comment="none")["count"] == 0


def test_an_error_that_is_over_is_not_found_by_its_error(api: Http) -> None:
    tag = new_tag()
    (record_id,) = add(api, compute_tag=tag)
    manager = Manager(api, tags=[tag])
    (task,) = manager.claim()
    manager.give({task["id"]: failure("odd_error")})
    wanted = {"compute_tag": [tag], "error_type": ["odd_error"]}
    assert preview(api, "reset", wanted)["count"] == 1
    do(api, "reset", record_id)
    manager.claim()
    assert api.post("records/query", wanted) == []


def test_fields_of_a_filter_narrow_each_other_down(api: Http) -> None:
    tag = new_tag()
    first, second = add(api, 2, compute_tag=tag)
    (third,) = add(api, kind="optimization", spec=OPTIMIZATION, molecules=[make_molecule()], compute_tag=tag)
    operation = by_filter(api, "cancel", {"compute_tag": [tag], "record_type": ["singlepoint"], "record_id": [first]})
    assert operation["changed"] == 1
    assert api.statuses([first, second, third]) == ["cancelled", "waiting", "waiting"]
