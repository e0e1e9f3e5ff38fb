"""Basis sets by name."""

from __future__ import annotations

import pytest
from qcengine.exceptions import InputError

from qchive.worker.programs import basis_sets

CARBON = frozenset({"C"})


@pytest.mark.parametrize("name", ["def2-svp", "DEF2-SVP", "def2svp", "def2_SVP"])
def test_spelling_does_not_matter(name: str) -> None:
    assert basis_sets.load(name, CARBON).name == "def2-SVP"


@pytest.mark.parametrize("name", ["6-31g*", "6-31g(d)", "631g*"])
def test_pople_sets_have_two_names(name: str) -> None:
    basis = basis_sets.load(name, CARBON)
    assert (basis.name, basis.cartesian) == ("6-31G*", True)


@pytest.mark.parametrize("name", ["/etc/passwd", "README.md", "", "gth-dzvp", "ccecp-cc-pvdz"])
def test_a_name_is_never_a_path_nor_one_of_pyscf_alone(name: str) -> None:
    with pytest.raises(InputError, match="unknown basis set"):
        basis_sets.load(name, CARBON)


def test_a_missing_element_is_named() -> None:
    with pytest.raises(InputError, match="Og"):
        basis_sets.load("def2-svp", frozenset({"C", "Og"}))
    with pytest.raises(InputError, match="Au, U"):
        basis_sets.load("6-31g", frozenset({"C", "U", "Au"}))


@pytest.mark.parametrize(("name", "symbol"), [("def2-mtzvp", "I"), ("def2-mtzvp", "Cs"), ("dfo-1-bhs", "Si")])
def test_valence_sets_without_their_potential_are_refused(name: str, symbol: str) -> None:
    with pytest.raises(InputError, match="core potential"):
        basis_sets.load(name, frozenset({symbol}))


@pytest.mark.parametrize(
    ("name", "symbol"), [("sto-3g", "I"), ("sto-2g", "He"), ("x2c-svpall", "I"), ("def2-mtzvp", "Br")]
)
def test_sets_for_all_electrons_are_not(name: str, symbol: str) -> None:
    assert not basis_sets.load(name, frozenset({symbol})).potentials
