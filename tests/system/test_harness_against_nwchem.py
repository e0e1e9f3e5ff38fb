"""Our PySCF harness against NWChem, an independent program, through the same QCEngine calls."""

from __future__ import annotations

from typing import Any

import pytest
from qcelemental.models.v2 import Molecule

from tests.worker.programs.inputs import METHYLENE, WATER, succeed

pytestmark = pytest.mark.system

# QCEngine's NWChem is Cartesian for every basis unless told; grids and thresholds tight enough to compare digits.
SCF = {"basis__spherical": True, "scf__thresh": 1e-8, "scf__tol2e": 1e-12}
DFT = {"basis__spherical": True, "dft__grid": "fine", "dft__convergence__energy": 1e-9, "dft__xc": "b3lyp"}
GHOSTLY = Molecule(
    symbols=["He", "He"], geometry=[0.0, 0.0, 0.0, 0.0, 0.0, 5.0], real=[True, False], fix_com=True,
    fix_orientation=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("molecule", "method", "basis", "theirs", "ours", "within"),
    [
        (WATER, "hf", "6-31g", SCF, {}, 1e-8),
        (METHYLENE, "hf", "cc-pvdz", {**SCF, "scf__uhf": True}, {"reference": "uhf"}, 1e-8),
        (METHYLENE, "mp2", "cc-pvdz", {**SCF, "scf__uhf": True}, {"reference": "uhf"}, 1e-7),
        (METHYLENE, "hf", "cc-pvdz", {**SCF, "scf__rohf": True}, {"reference": "rohf"}, 1e-8),
        (WATER, "hf", "6-31g*", {**SCF, "basis__spherical": False}, {}, 1e-8),
        (WATER, "hf", "cc-pvdz", SCF, {}, 1e-8),
        (WATER, "mp2", "6-31g", SCF, {}, 1e-7),
        (WATER, "ccsd", "6-31g", {**SCF, "ccsd__thresh": 1e-8}, {}, 1e-7),
        (WATER, "ccsd(t)", "6-31g", {**SCF, "ccsd__thresh": 1e-8}, {}, 1e-7),
        (WATER, "b3lyp", "6-31g", DFT, {"grid_level": 5}, 2e-6),
        (GHOSTLY, "hf", "cc-pvdz", SCF, {}, 1e-8),
    ],
)
def test_energies_agree(
    molecule: Any, method: str, basis: str, theirs: dict[str, Any], ours: dict[str, Any], within: float
) -> None:
    known = succeed("nwchem", molecule, method, basis, **theirs).return_result
    found = succeed("pyscf", molecule, method, basis, **ours)
    assert found.return_result == pytest.approx(known, abs=within)


@pytest.mark.parametrize(("method", "theirs", "within"), [("hf", SCF, 1e-6), ("mp2", SCF, 1e-6), ("b3lyp", DFT, 1e-4)])
def test_gradients_agree(method: str, theirs: dict[str, Any], within: float) -> None:
    fixed = WATER.model_copy(update={"fix_com": True, "fix_orientation": True})
    known = succeed("nwchem", fixed, method, "6-31g", driver="gradient", **theirs)
    found = succeed("pyscf", fixed, method, "6-31g", driver="gradient", grid_level=5)
    assert found.return_result == pytest.approx(known.return_result, abs=within)
