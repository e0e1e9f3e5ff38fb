"""What people hand in, as it travels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from qcelemental.models import Molecule

from qchive.api.metadata import UpdateMetadata
from qchive.api.records import RecordModify, RecordQuery
from qchive.client.given import as_ids, as_list, filters, is_one, plain, without_nothing
from qchive.status import PriorityEnum, RecordStatusEnum


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        ({"a": (1, None, True)}, {"a": [1, None, True]}),
        (RecordStatusEnum.error, "error"),
        (PriorityEnum.high, 2),
        (UpdateMetadata(updated_idx=[1]), msgspec.to_builtins(UpdateMetadata(updated_idx=[1]))),
    ],
)
def test_values_become_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    msgspec.json.encode(plain(value))


def test_molecules_become_mappings_wherever_they_are() -> None:
    molecule = Molecule(symbols=["He"], geometry=[0, 0, 0.5])
    (inner,) = plain({"x": [molecule]})["x"]
    assert inner["symbols"] == ["He"]
    assert inner["geometry"] == [0.0, 0.0, 0.5]


def test_what_cannot_travel_is_told() -> None:
    with pytest.raises(TypeError, match="cannot send a object"):
        plain({"x": object()})


@pytest.mark.parametrize(
    "value", [[1, 2], (1, 2), {1: "a", 2: "b"}.keys(), range(1, 3), np.array([1, 2]), [np.int64(1), 2]]
)
def test_collections_of_ids_are_lists(value: Any) -> None:
    assert as_ids(value) == [1, 2]
    assert not is_one(value)


@pytest.mark.parametrize("value", [1, np.int64(1)])
def test_one_id_is_a_list_of_one(value: Any) -> None:
    assert as_ids(value) == [1]
    assert is_one(value)


def test_text_and_fractions_are_no_ids() -> None:
    for value in ("1", [1.5], None):
        with pytest.raises(TypeError):
            as_ids(value)


def test_mappings_and_molecules_are_one_thing() -> None:
    assert as_list({"symbols": ["He"]}) == [{"symbols": ["He"]}]
    molecule = Molecule(symbols=["He"], geometry=[0, 0, 0])
    assert as_list(molecule) == [molecule]


def test_bodies_leave_out_what_is_not_said() -> None:
    assert without_nothing(RecordModify(record_ids=[1], comment="x")) == {"record_ids": [1], "comment": "x"}


def test_filters_are_lists_and_times_have_a_zone() -> None:
    given = {"status": RecordStatusEnum.error, "record_id": {3}, "created_after": "2026-01-02", "child_id": None}
    assert filters(RecordQuery, given) == {
        "status": ["error"],
        "record_id": [3],
        "created_after": datetime(2026, 1, 2, tzinfo=UTC),
    }


def test_an_unknown_filter_is_told_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"no filter statsu: use .*status"):
        filters(RecordQuery, {"statsu": "error"})
