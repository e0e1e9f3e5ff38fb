"""Molecules and one call for the tests of program harnesses."""

from __future__ import annotations

from typing import Any

import qcengine
from qcelemental.models.v2 import AtomicInput, Molecule
from qcengine.programs.tests.standard_suite_ref import std_molecules

from qchive.worker import programs

WATER = Molecule(symbols=["O", "H", "H"], geometry=[0.05, 0.02, 0.2217, 0.0, 1.4309, -0.8867, 0.1, -1.40, -0.80])
METHYLENE = Molecule(
    symbols=["C", "H", "H"], geometry=[0.05, 0.02, 0.2, 0.0, 1.6, -0.7, 0.1, -1.7, -0.8], molecular_multiplicity=3
)
HF = Molecule(symbols=["H", "F"], geometry=[0.0, 0.0, 0.0, 0.1, 0.3, 1.7])
HI = Molecule(symbols=["I", "H"], geometry=[0.0, 0.0, 0.0, 0.1, 0.0, 3.1])
WATER_BESIDE_GHOST = Molecule(
    symbols=["O", "H", "H", "O", "H"],
    geometry=[0.05, 0.02, 0.2217, 0.0, 1.4309, -0.8867, 0.1, -1.40, -0.80, 0.0, 0.3, 5.0, 0.0, 1.2, 5.6],
    real=[True, True, True, False, False],
)
# The molecules of QCEngine's standard suite, whose reference values CFOUR, GAMESS, NWChem and Psi4 agree on.
SUITE = {name: Molecule.from_data(std_molecules[f"{name}-xyz"]) for name in ("h2o", "nh2")}


def atom(symbol: str, **fields: Any) -> Molecule:
    """One atom at the origin."""
    return Molecule(symbols=[symbol], geometry=[0.0, 0.0, 0.0], **fields)


def compute(
    program: str,
    molecule: Any,
    method: str,
    basis: str | None = None,
    driver: str = "energy",
    protocols: dict[str, Any] | None = None,
    **keywords: Any,
) -> Any:
    """The result, or the failure, of one QCEngine call with a version 2 input."""
    programs.register()
    specification = {"driver": driver, "model": {"method": method, "basis": basis}, "keywords": keywords}
    given = AtomicInput(molecule=molecule, specification={**specification, "protocols": protocols or {}})
    return qcengine.compute(given, program, task_config={"ncores": 1, "memory": 1.0})


def succeed(*args: Any, **keywords: Any) -> Any:
    """As `compute`, and it has to work."""
    result = compute(*args, **keywords)
    assert result.success, result.error.error_message
    return result


def failure(*args: Any, **keywords: Any) -> tuple[str, str]:
    """As `compute`, and it has to fail: class and message."""
    result = compute(*args, **keywords)
    assert not result.success
    return result.error.error_type, result.error.error_message
