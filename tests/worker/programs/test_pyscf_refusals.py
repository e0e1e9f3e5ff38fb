"""What the PySCF harness refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest
from qcelemental.models.v2 import Molecule

from tests.worker.programs.inputs import WATER, atom, failure


def moved(**fields: Any) -> Any:
    """Water with fields that qcelemental itself may not let pass."""
    return WATER.model_copy(update=fields)


@pytest.mark.parametrize(
    ("method", "basis", "keywords", "message"),
    [
        ("nonsense", "sto-3g", {}, "no method or functional"),
        ("mp3", "sto-3g", {}, "no method or functional"),
        ("lda_k_tf", "sto-3g", {}, "no exchange-correlation functional"),
        ("b3lyp-d3", "sto-3g", {}, "-d3bj, -d3zero and -d4"),
        ("mp2-d3bj", "sto-3g", {}, "dispersion corrections are for"),
        ("svwn-d4", "sto-3g", {}, "no d4 correction"),
        ("wb97x-d", "sto-3g", {}, "belongs to a dispersion correction"),
        ("b97-d", "sto-3g", {}, "belongs to a dispersion correction"),
        ("b97-3c", "sto-3g", {}, "belongs to a dispersion correction"),
        ("wb97x-v-d3bj", "sto-3g", {}, "VV10"),
        ("hf", "nonsense", {}, "unknown basis set"),
        ("hf", "/etc/passwd", {}, "unknown basis set"),
        ("hf", None, {}, "needs a basis set"),
        ("hf", "sto-3g", {"colour": "red"}, "unknown field `colour`"),
        ("hf", "sto-3g", {"max_cycle": "many"}, "Expected `int`"),
        ("hf", "sto-3g", {"reference": "banana"}, "banana"),
        ("hf", "sto-3g", {"density_fit": True, "aux_basis": "/etc/passwd"}, "unknown basis set"),
        ("pbe", "sto-3g", {"grid": [50, 195]}, "Lebedev"),
        ("mp2", "sto-3g", {"freeze_core": 6}, "fewer than 6"),
    ],
)
def test_what_makes_no_sense_is_an_input_error(method: str, basis: Any, keywords: dict[str, Any], message: str) -> None:
    kind, said = failure("pyscf", WATER, method, basis, **keywords)
    assert kind == "input_error"
    assert message in said


@pytest.mark.parametrize(
    ("molecule", "message"),
    [
        (moved(molecular_charge=9.0, molecular_multiplicity=2), "charge +9 is impossible"),
        (moved(molecular_charge=-9.0, molecular_multiplicity=2), "charge -9 is impossible"),
        (moved(molecular_charge=10.0, molecular_multiplicity=1), "no electrons"),
        (moved(molecular_charge=0.5), "whole number"),
        (moved(molecular_multiplicity=2), "multiplicity 2 is impossible"),
        (moved(molecular_multiplicity=13), "multiplicity 13 is impossible"),
        (moved(geometry=WATER.geometry * float("nan")), "not finite"),
        (moved(geometry=WATER.geometry * 0.01), "overlap"),
        (atom("He", real=[False]), "no electrons"),
    ],
)
def test_impossible_molecules_are_refused(molecule: Any, message: str) -> None:
    kind, said = failure("pyscf", molecule, "hf", "sto-3g")
    assert kind == "input_error"
    assert message in said


def test_an_element_missing_from_the_basis_is_an_input_error() -> None:
    kind, said = failure("pyscf", atom("U"), "hf", "def2-svp")
    assert (kind, "U" in said) == ("input_error", True)


@pytest.mark.parametrize("symbol", ["I", "Cs"])
def test_a_basis_made_for_a_core_potential_it_lacks_is_refused(symbol: str) -> None:
    kind, said = failure("pyscf", atom(symbol), "hf", "def2-mtzvpp")
    assert kind == "input_error"
    assert "core potential" in said


def test_a_closed_shell_reference_for_a_radical_is_refused() -> None:
    kind, said = failure("pyscf", atom("H"), "hf", "sto-3g", reference="rhf")
    assert (kind, "singlets" in said) == ("input_error", True)


def test_too_few_functions_for_the_spin_are_refused() -> None:
    kind, said = failure("pyscf", atom("Ne", molecular_multiplicity=3), "hf", "sto-3g")
    assert (kind, "too few" in said) == ("input_error", True)


def test_a_basis_that_is_partly_cartesian_needs_a_choice() -> None:
    iron = Molecule(symbols=["Fe"], geometry=[0, 0, 0], molecular_multiplicity=5)
    kind, said = failure("pyscf", iron, "hf", "6-31g**")
    assert (kind, "keyword `cartesian`" in said) == ("input_error", True)


@pytest.mark.parametrize(("method", "keywords"), [("hf", {"max_cycle": 2}), ("ccsd", {"cc_max_cycle": 2})])
def test_what_does_not_converge_is_a_convergence_error(method: str, keywords: dict[str, Any]) -> None:
    kind, said = failure("pyscf", WATER, method, "6-31g", **keywords)
    assert kind == "convergence_error"
    assert next(iter(keywords)) in said


@pytest.mark.parametrize(("method", "keywords"), [("ccsd(t)", {"density_fit": True}), ("mp2", {"reference": "rohf"})])
def test_a_hessian_from_numerical_gradients_is_refused(method: str, keywords: dict[str, Any]) -> None:
    kind, said = failure("pyscf", WATER, method, "sto-3g", driver="hessian", **keywords)
    assert (kind, "numerical gradients" in said) == ("input_error", True)
