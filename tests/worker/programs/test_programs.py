"""The harnesses inside QCEngine: registered, listed, called with both schema versions and by an optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import qcengine
from qcelemental.models import v1, v2

from qchive.worker import programs
from tests.worker.programs.inputs import WATER

TASK = {"ncores": 1, "memory": 1.0}
HARTREE_FOCK = {"method": "hf", "basis": "sto-3g"}
PLAIN = {"symbols": ["O", "H", "H"], "geometry": WATER.geometry.ravel().tolist()}


def test_registering_twice_changes_nothing() -> None:
    programs.register()
    before = qcengine.get_program("pyscf")
    programs.register()
    assert qcengine.get_program("pyscf") is before
    assert {"pyscf", "tblite"} <= qcengine.list_available_programs()


def test_installed_programs_have_versions() -> None:
    found = programs.installed()
    assert {"qcengine", "pyscf", "tblite", "rdkit", "s-dftd3", "dftd4", "geometric"} <= found.keys()
    assert all(name == name.lower() and version for name, version in found.items())


@pytest.mark.parametrize("model", [{"method": "gfn2-xtb"}, HARTREE_FOCK])
def test_creator_is_the_name_of_the_program(model: dict[str, str]) -> None:
    programs.register()
    program = "pyscf" if "basis" in model else "tblite"
    given = v2.AtomicInput(molecule=PLAIN, specification={"driver": "gradient", "model": model})
    provenance = qcengine.compute(given, program, task_config=TASK).provenance
    assert provenance.creator.lower() == program
    assert provenance.version == programs.installed()[program]
    assert provenance.routine == f"qchive.worker.programs.{program}"


def test_version_1_inputs_give_version_1_results() -> None:
    programs.register()
    given = v1.AtomicInput(
        molecule=PLAIN, driver="gradient", model=HARTREE_FOCK, protocols={"wavefunction": "return_results"}
    )
    result = qcengine.compute(given, "pyscf", task_config=TASK)
    assert isinstance(result, v1.AtomicResult)
    assert result.wavefunction.orbitals_a == "scf_orbitals_a"
    assert result.provenance.gradient == "analytic"
    failed = qcengine.compute(given.copy(update={"keywords": {"colour": 1}}), "pyscf", task_config=TASK)
    assert (failed.success, failed.error.error_type) == (False, "input_error")


@pytest.mark.parametrize(
    ("program", "model", "energy"),
    [("tblite", {"method": "gfn2-xtb"}, -5.070544), ("pyscf", HARTREE_FOCK, -74.965901)],
)
def test_geometric_optimizes_with_our_harnesses(program: str, model: dict[str, Any], energy: float) -> None:
    programs.register()
    given = v2.OptimizationInput(
        initial_molecule=PLAIN,
        specification={
            "program": "geometric",
            "specification": {"program": program, "driver": "gradient", "model": model},
            "protocols": {"trajectory_results": "all"},
        },
    )
    result = qcengine.compute(given, "geometric", task_config=TASK)
    assert result.success, result.error
    assert result.properties.return_energy == pytest.approx(energy, abs=2e-6)
    last = result.trajectory_results[-1]
    assert np.abs(last.return_result).max() < 5e-4
    assert last.provenance.creator.lower() == program
