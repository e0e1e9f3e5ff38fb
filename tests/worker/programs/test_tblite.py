"""The tblite harness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.worker.programs.inputs import (
    HF,
    METHYLENE,
    WATER,
    WATER_BESIDE_GHOST,
    atom,
    compute,
    failure,
    succeed,
)

HYDRONIUM = WATER.model_copy(update={"molecular_charge": 1.0, "molecular_multiplicity": 2})


@pytest.mark.parametrize(("method", "energy"), [("GFN2-xTB", -5.070544), ("gfn1-xtb", -5.768743)])
def test_energies_at_the_minimum_are_known(method: str, energy: float) -> None:
    near = WATER.model_copy(
        update={"geometry": np.array([[0, 0, 0.2217], [0, 1.4309, -0.8867], [0, -1.4309, -0.8867]])}
    )
    assert succeed("tblite", near, method).return_result == pytest.approx(energy, abs=3e-3)


@pytest.mark.parametrize("method", ["gfn1-xtb", "gfn2-xtb"])
@pytest.mark.parametrize("molecule", [WATER, METHYLENE, HYDRONIUM])
def test_gradients_agree_with_finite_differences(method: str, molecule: Any) -> None:
    gradient = succeed("tblite", molecule, method, driver="gradient", accuracy=1e-3).return_result
    direction = np.random.default_rng(1).normal(size=gradient.shape)
    direction /= np.linalg.norm(direction)
    plus, minus = (
        succeed("tblite", molecule.model_copy(update={"geometry": molecule.geometry + s * direction}), method,
                accuracy=1e-3).return_result
        for s in (1e-3, -1e-3)
    )  # fmt: skip
    assert float((gradient * direction).sum()) == pytest.approx((plus - minus) / 2e-3, abs=1e-6)


def test_the_hessian_is_symmetric_and_blind_to_translations() -> None:
    result = succeed("tblite", WATER, "gfn2-xtb", driver="hessian")
    assert result.return_result.shape == (9, 9)
    assert np.allclose(result.return_result, result.return_result.T)
    shift = np.tile([1.0, 0.0, 0.0], 3)
    assert np.abs(result.return_result @ shift).max() < 1e-4
    assert result.provenance.hessian.startswith("numerical")


def test_properties_have_dipole_charges_and_bond_orders() -> None:
    result = succeed("tblite", WATER, "gfn2-xtb", driver="properties")
    assert set(result.return_result) == {"dipole", "mulliken_charges", "mayer_indices"}
    assert result.return_result["dipole"] == pytest.approx(result.properties.scf_dipole_moment.tolist())


def test_the_table_of_iterations_is_in_the_result_and_not_on_the_console(capfd: pytest.CaptureFixture[str]) -> None:
    assert "total energy" in succeed("tblite", WATER, "gfn2-xtb").stdout
    assert succeed("tblite", WATER, "gfn2-xtb", protocols={"stdout": False}).stdout is None
    assert capfd.readouterr() == ("", "")


def test_a_field_pulls_at_the_dipole() -> None:
    vacuum = succeed("tblite", WATER, "gfn2-xtb")
    pulled = succeed("tblite", WATER, "gfn2-xtb", **{"electric-field": [0.0, 0.0, 1e-4]})
    change = (pulled.return_result - vacuum.return_result) / 1e-4
    assert abs(change) == pytest.approx(abs(vacuum.properties.scf_dipole_moment[2]), rel=1e-2)


@pytest.mark.parametrize("keywords", [{"alpb-solvation": "water"}, {"ddx-solvation": [80.0, "cpcm"]}])
def test_solvation_is_a_keyword_in_any_case(keywords: dict[str, Any]) -> None:
    vacuum = succeed("tblite", WATER, "gfn2-xtb").return_result
    assert -0.03 < succeed("tblite", WATER, "gfn2-xtb", **keywords).return_result - vacuum < -1e-3


@pytest.mark.parametrize(
    ("molecule", "method", "basis", "keywords", "message"),
    [
        (WATER_BESIDE_GHOST, "gfn2-xtb", None, {}, "ghost"),
        (atom("U"), "gfn2-xtb", None, {}, "Z = 86"),
        (WATER.model_copy(update={"molecular_charge": 9.0, "molecular_multiplicity": 2}), "gfn2-xtb", None, {}, "+9"),
        (WATER.model_copy(update={"molecular_charge": -20.0}), "gfn2-xtb", None, {}, "-20"),
        (WATER.model_copy(update={"molecular_multiplicity": 2}), "gfn2-xtb", None, {}, "multiplicity"),
        (atom("C", molecular_charge=5, molecular_multiplicity=2), "gfn2-xtb", None, {}, "not compatible"),
        (atom("C", molecular_charge=4), "gfn2-xtb", None, {}, "valence"),
        (WATER.model_copy(update={"molecular_multiplicity": 9}), "gfn2-xtb", None, {}, "valence"),
        (WATER, "gfn3-xtb", None, {}, "no method"),
        (WATER, "gfn2-xtb", "sto-3g", {}, "basis set"),
        (WATER, "gfn2-xtb", None, {"colour": 1}, "no keyword"),
        (WATER, "gfn2-xtb", None, {"max-iter": "many"}, "tblite"),
        (WATER, "gfn2-xtb", None, {"alpb-solvation": "beer"}, "solvents"),
        (WATER, "gfn2-xtb", None, {"electric-field": [0.1]}, "three components"),
    ],
)
def test_what_makes_no_sense_is_an_input_error(
    molecule: Any, method: str, basis: str | None, keywords: dict[str, Any], message: str
) -> None:
    kind, said = failure("tblite", molecule, method, basis, **keywords)
    assert (kind, message in said) == ("input_error", True), said


def test_charges_that_do_not_converge_are_a_convergence_error() -> None:
    kind, said = failure("tblite", HF, "gfn2-xtb", **{"max-iter": 1})
    assert kind == "convergence_error"
    assert "max-iter" in said


def test_an_empty_basis_means_none() -> None:
    assert compute("tblite", HF, "gfn2-xtb", "").success
