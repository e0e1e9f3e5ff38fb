"""Bonds from geometries."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Any

import pytest

from qchive.cli import bonds
from qchive.errors import InvalidMolecule


def molecule(*atoms: tuple[str, float, float, float], **more: Any) -> dict[str, Any]:
    """A molecule from symbols and coordinates in Ångström."""
    geometry = [x / bonds.BOHR for _, *xyz in atoms for x in xyz]
    return {"symbols": [symbol for symbol, *_ in atoms], "geometry": geometry, "molecular_charge": 0.0, **more}


WATER = molecule(("O", 0, 0, 0.1173), ("H", 0, 0.7572, -0.4692), ("H", 0, -0.7572, -0.4692))
FORMALDEHYDE = molecule(("C", 0, 0, -0.5296), ("O", 0, 0, 0.6741), ("H", 0, 0.935, -1.1165), ("H", 0, -0.935, -1.1165))
HYDROXIDE = molecule(("O", 0, 0, 0), ("H", 0, 0, 0.97), molecular_charge=-1.0)


def ring(symbol: str, radius: float) -> list[tuple[str, float, float, float]]:
    return [(symbol, radius * cos(i * pi / 3), radius * sin(i * pi / 3), 0.0) for i in range(6)]


def orders(given: dict[str, Any]) -> list[float]:
    return sorted(order for _, _, order in bonds.with_bonds(given, "it")["connectivity"])


def test_double_bonds_are_found() -> None:
    assert bonds.with_bonds(FORMALDEHYDE, "it")["connectivity"] == [[0, 1, 2.0], [0, 2, 1.0], [0, 3, 1.0]]


def test_aromatic_rings_have_single_and_double_bonds() -> None:
    assert orders(molecule(*ring("C", 1.397), *ring("H", 2.48))) == [1.0] * 9 + [2.0] * 3


def test_ions_keep_their_charge() -> None:
    assert orders(HYDROXIDE) == [1.0]


def test_one_atom_has_no_bonds() -> None:
    assert "connectivity" not in bonds.with_bonds(molecule(("He", 0, 0, 0)), "it")


def test_bonds_that_were_given_are_kept() -> None:
    given = {**WATER, "connectivity": [[0, 1, 1.0]]}
    assert bonds.with_bonds(given, "it") == given


def test_without_rdkit_molecules_of_single_bonds_are_still_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bonds, "find_spec", lambda _: None)
    assert bonds.with_bonds(WATER, "it")["connectivity"] == [[0, 1, 1.0], [0, 2, 1.0]]


def test_without_rdkit_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bonds, "find_spec", lambda _: None)
    with pytest.raises(InvalidMolecule, match=r"it: its bonds .* takes RDKit"):
        bonds.with_bonds(FORMALDEHYDE, "it")
