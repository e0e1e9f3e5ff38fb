"""Gradients of the PySCF harness against finite differences of its energies, and Hessians against gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qcengine.programs.tests.standard_suite_ref import answer_hash, std_suite

from tests.worker.programs.inputs import HF, HI, METHYLENE, SUITE, WATER, WATER_BESIDE_GHOST, succeed

TIGHT = {"conv_tol": 1e-12, "verbose": 0}
STEP = 2e-3


def along(molecule: Any, direction: Any, by: float) -> Any:
    """The molecule displaced by so many Bohr."""
    return molecule.model_copy(update={"geometry": molecule.geometry + by * direction})


def directional_derivative(molecule: Any, direction: Any, method: str, basis: str, **keywords: Any) -> float:
    """dE/dx along the direction by a four-point formula, good to 1e-8 Hartree/Bohr."""
    energies = {
        k: succeed("pyscf", along(molecule, direction, k * STEP), method, basis, **keywords).return_result
        for k in (-2, -1, 1, 2)
    }
    return float((8 * (energies[1] - energies[-1]) - (energies[2] - energies[-2])) / (12 * STEP))


@pytest.mark.parametrize(
    ("method", "basis", "molecule", "keywords", "origin"),
    [
        ("hf", "6-31g*", WATER, {}, "analytic"),
        ("hf", "6-31g", METHYLENE, {}, "analytic"),
        ("hf", "6-31g", METHYLENE, {"reference": "rohf", "density_fit": True}, "analytic"),
        ("hf", "def2-svp", HI, {}, "analytic"),
        ("hf", "6-31g", WATER_BESIDE_GHOST, {}, "analytic"),
        ("pbe", "sto-3g", HF, {"grid_level": 1}, "analytic"),
        ("b3lyp", "sto-3g", METHYLENE, {"grid_level": 1}, "analytic"),
        ("tpss", "sto-3g", METHYLENE, {"grid_level": 1, "reference": "rohf"}, "analytic"),
        ("cam-b3lyp", "sto-3g", HF, {"grid_level": 1, "density_fit": True}, "analytic"),
        ("wb97x-v", "sto-3g", HF, {"grid_level": 0}, "analytic"),
        ("b3lyp-d3bj", "def2-svp", HI, {"grid_level": 1}, "analytic"),
        ("pbe-d4", "sto-3g", HF, {"grid_level": 1}, "analytic"),
        ("wb97x-d4", "sto-3g", HF, {"grid_level": 1}, "analytic"),
        ("hf-d3zero", "sto-3g", WATER_BESIDE_GHOST, {}, "analytic"),
        ("b3lyp-d3bj", "sto-3g", WATER_BESIDE_GHOST, {"grid_level": 0}, "numerical"),
        ("mp2", "6-31g", WATER, {"freeze_core": True}, "analytic"),
        ("mp2", "6-31g", METHYLENE, {}, "analytic"),
        ("mp2", "6-31g", METHYLENE, {"reference": "rohf"}, "numerical"),
        ("mp2", "6-31g", HF, {"density_fit": True}, "numerical"),
        ("ccsd", "6-31g", WATER, {"freeze_core": True}, "analytic"),
        ("ccsd", "sto-3g", METHYLENE, {}, "analytic"),
        ("ccsd", "sto-3g", HF, {"density_fit": True}, "numerical"),
        ("ccsd(t)", "6-31g", WATER, {"freeze_core": True}, "analytic"),
        ("ccsd(t)", "6-31g", WATER, {}, "analytic"),
        ("ccsd(t)", "sto-3g", METHYLENE, {}, "numerical"),
    ],
)
def test_gradients_agree_with_finite_differences(
    method: str, basis: str, molecule: Any, keywords: dict[str, Any], origin: str
) -> None:
    keywords = {**TIGHT, **keywords, **({"cc_conv_tol": 1e-10} if method.startswith("ccsd") else {})}
    result = succeed("pyscf", molecule, method, basis, driver="gradient", **keywords)
    direction = np.random.default_rng(1).normal(size=result.return_result.shape)
    direction /= np.linalg.norm(direction)
    expected = directional_derivative(molecule, direction, method, basis, **keywords)
    assert float((result.return_result * direction).sum()) == pytest.approx(expected, abs=1e-6)
    assert result.provenance.gradient.startswith(origin)
    assert result.extras["gradient"] == result.provenance.gradient
    assert result.properties.return_gradient == pytest.approx(result.return_result)


@pytest.mark.parametrize("method", ["hf", "mp2", "ccsd"])
def test_gradients_are_those_of_other_programs(method: str) -> None:
    meta = {"system": "h2o", "basis": "aug-cc-pvdz", "scf_type": "pk", "reference": "rhf", "fcae": "ae", "sdsc": "sd"}
    known = std_suite[answer_hash(**meta, corl_type="conv")][f"{method.upper()} TOTAL GRADIENT"]
    result = succeed("pyscf", SUITE["h2o"], method, "aug-cc-pvdz", driver="gradient")
    assert result.return_result == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize(
    ("method", "basis", "molecule", "keywords", "origin", "within"),
    [
        ("hf", "6-31g", HF, {}, "analytic", 1e-4),
        ("hf", "6-31g", METHYLENE, {"density_fit": True}, "analytic", 1e-4),
        ("hf", "sto-3g", METHYLENE, {"reference": "rohf"}, "numerical", 1e-4),
        ("b3lyp-d3bj", "sto-3g", HF, {}, "analytic, without the response of the grid", 1e-3),
        ("mp2", "sto-3g", HF, {}, "numerical", 1e-4),
    ],
)
def test_hessians_agree_with_differences_of_gradients(
    method: str, basis: str, molecule: Any, keywords: dict[str, Any], origin: str, within: float
) -> None:
    keywords = {**TIGHT, **keywords}
    result = succeed("pyscf", molecule, method, basis, driver="hessian", **keywords)
    direction = np.random.default_rng(1).normal(size=molecule.geometry.shape)
    direction /= np.linalg.norm(direction)
    forward, backward = (
        succeed("pyscf", along(molecule, direction, s * STEP), method, basis, driver="gradient", **keywords)
        for s in (1, -1)
    )
    expected = (forward.return_result - backward.return_result).ravel() / (2 * STEP)
    assert result.return_result @ direction.ravel() == pytest.approx(expected, abs=within)
    assert result.provenance.hessian.startswith(origin)
    assert np.allclose(result.return_result, result.return_result.T, atol=1e-6)
