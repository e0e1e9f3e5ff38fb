"""Along a path each molecule is read as it would be alone."""

from __future__ import annotations

from typing import Any

import pytest

from qchive.errors import InvalidMolecule
from qchive.molecule import Path, stored

WATER: dict[str, Any] = {
    "symbols": ["O", "H", "H"],
    "geometry": [0.0, 0.0, -0.13, 0.0, 1.49, 1.03, 0.0, -1.49, 1.03],
    "molecular_charge": 0.0,
    "molecular_multiplicity": 1,
    "masses": [15.99491462, 1.00782503, 1.00782503],
    "fragments": [[0, 1, 2]],
    "fragment_charges": [0.0],
    "fragment_multiplicities": [1],
    "provenance": {"creator": "x"},
    "validated": True,
}
MOVED = WATER | {"geometry": [0.01, 0.0, -0.131234567891, 0.0, 1.49, 1.03, 0.0, -1.49, 1.03]}
PATH: list[dict[str, Any]] = [
    WATER,
    MOVED,
    MOVED,
    WATER | {"geometry": [[0, 0, -0.2], [0.0, 1.5, 1.0], (0.0, -1.5, 1.0)]},
    WATER | {"molecular_charge": -2.0, "fragment_charges": [-2.0]},
    WATER | {"name": "water", "comment": "c", "identifiers": {"smiles": "O", "molecule_hash": "old"}},
    MOVED | {"name": "water", "comment": "c", "identifiers": {"smiles": "O", "molecule_hash": "old"}},
    MOVED | {"connectivity": [[0, 1, 1.0], [0, 2, 1.0]], "extras": {"a": [1, {"b": None}]}},
    WATER | {"connectivity": [[0, 1, 1.0], [0, 2, 1.0]], "extras": {"a": [1, {"b": None}]}},
    {"symbols": ["o", "h", "h"], "geometry": MOVED["geometry"], "validated": False},
    {"symbols": ["o", "h", "h"], "geometry": WATER["geometry"], "validated": False},
    {"symbols": ["He"], "geometry": [0.0, 0.0, 0.0], "validated": True},
]


def test_a_molecule_of_a_path_is_stored_as_if_it_were_alone() -> None:
    path = Path()
    for molecule in PATH + PATH[::-1]:
        assert path.stored(molecule) == stored(molecule)


@pytest.mark.parametrize(
    "geometry",
    [
        [0.0] * 9,
        WATER["geometry"][:-1],
        [*WATER["geometry"], 1.0, 2.0, 3.0],
        [float("nan"), *WATER["geometry"][1:]],
        [1e12, *WATER["geometry"][1:]],
        ["x", *WATER["geometry"][1:]],
        [[0.0, 0.0], [1.0, 1.0]],
        None,
        {},
    ],
)
def test_a_step_that_makes_no_sense_is_refused(geometry: Any) -> None:
    path = Path()
    path.stored(WATER)
    with pytest.raises(InvalidMolecule, match=r"geometry|coordinate|overlap"):
        path.stored(WATER | {"geometry": geometry})
    assert path.stored(MOVED) == stored(MOVED)
