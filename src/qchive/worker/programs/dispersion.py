"""D3 and D4 dispersion corrections, computed with the dftd3 and dftd4 libraries directly.

PySCF's own `disp` needs a package of its own. Nuclear charges come from the symbols, because PySCF's are reduced by
effective core potentials; ghost atoms do not disperse.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from qcengine.exceptions import InputError

from qchive.worker.programs import finite_differences

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dispersion:
    """A correction and the functional whose damping parameters it takes."""

    model: Literal["d3bj", "d3zero", "d4"]
    functional: str

    def describe(self) -> str:
        """For provenance: model, parameters and the library that computed it."""
        names = {"d3bj": "D3(BJ), two-body", "d3zero": "D3(0), two-body", "d4": "D4 with three-body term"}
        library = "dftd4" if self.model == "d4" else "dftd3"
        return f"{names[self.model]}, parameters of {self.functional}, {library} {version(library)}"


def energy_and_gradient(dispersion: Dispersion, molecule: Any, geometry: Array) -> tuple[float, Array]:
    """Correction in Hartree and its gradient (natom, 3) in Hartree/Bohr; zero on ghost atoms.

    Raises InputError if there are no parameters for the functional or for an element.
    """
    real = np.asarray(molecule.real, dtype=bool)
    numbers = np.asarray(molecule.atomic_numbers)[real]
    try:
        result = _evaluate(dispersion, numbers, geometry[real], float(molecule.molecular_charge))
    except (RuntimeError, TypeError) as error:
        raise InputError(f"no {dispersion.model} correction for {dispersion.functional}: {error}") from error
    gradient = np.zeros_like(geometry)
    gradient[real] = result["gradient"]
    return float(result["energy"]), gradient


def hessian(dispersion: Dispersion, molecule: Any, geometry: Array) -> Array:
    """Hessian (3 natom, 3 natom) in Hartree/Bohr², by central differences of the analytic gradient."""
    return finite_differences.hessian(lambda x: energy_and_gradient(dispersion, molecule, x)[1], geometry)


def _evaluate(dispersion: Dispersion, numbers: NDArray[np.int64], positions: Array, charge: float) -> Any:
    """What the library returns: a dictionary with energy and gradient."""
    if dispersion.model == "d4":
        import dftd4.interface as d4

        model = d4.DispersionModel(numbers, positions, charge=charge)
        return model.get_dispersion(d4.DampingParam(method=dispersion.functional), grad=True)
    import dftd3.interface as d3

    damping = d3.RationalDampingParam if dispersion.model == "d3bj" else d3.ZeroDampingParam
    model = d3.DispersionModel(numbers, positions)
    return model.get_dispersion(damping(method=dispersion.functional), grad=True)
