"""Gradients and Hessians with PySCF: analytic where they agree with finite differences, otherwise numerical."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qcengine.exceptions import ConvergenceError, InputError

from qchive.worker.programs import dispersion, finite_differences
from qchive.worker.programs.pyscf_molecule import System
from qchive.worker.programs.pyscf_solution import Level, Solution, at

Array = NDArray[np.float64]

# Convergence for energies that are subtracted from each other.
_TIGHT = {"conv_tol": 1e-11, "cc_conv_tol": 1e-10}


@dataclass(frozen=True, slots=True)
class Derivative:
    """Gradient (natom, 3) or Hessian (3 natom, 3 natom) in atomic units, and how it was made, for provenance."""

    values: Array
    origin: str


def gradient(system: System, solution: Solution) -> Derivative:
    """The gradient of a converged solution, dispersion included; ConvergenceError if a step on the way fails."""
    reason = why_numerical(system, solution.level)
    if reason and not _uncorrelated(solution):
        values = finite_differences.gradient(_energies(system, solution), system.mole.atom_coords())
        return Derivative(values, f"numerical (central differences of energies): {reason}")
    values = analytic(solution)
    if solution.level.method.dispersion:
        values = values + _dispersion_gradient(system, solution.level)
    return Derivative(values, "analytic")


def why_numerical(system: System, level: Level) -> str:
    """Why PySCF's analytic gradient is not used; empty where it is there and right.

    "Wrong" is what finite differences of energies say of PySCF 2.14 (tests/worker/programs/test_pyscf_gradients.py).
    """
    method, reference, fitted = level.method, level.reference, level.keywords.density_fit
    if method.correlation and fitted:
        return "PySCF's gradients of density-fitted correlation methods are missing or wrong (pyscf issue 3425)"
    if method.correlation and reference == "rohf":
        return "PySCF's correlated gradients on ROHF are missing or of another energy"
    if method.correlation == "ccsd(t)" and reference == "uhf":
        return "PySCF's UCCSD(T) gradients are wrong (pyscf issue 3305)"
    if method.functional and not all(system.given.real):
        return "PySCF's gradients of functionals are wrong with ghost atoms (response of their grids)"
    return ""


def _uncorrelated(solution: Solution) -> bool:
    """Whether a correlation method had nothing to do, so that the gradient is that of Hartree-Fock."""
    return bool(solution.level.method.correlation) and solution.cc is None and solution.mp2 is None


def analytic(solution: Solution) -> Array:
    """PySCF's analytic gradient, without dispersion."""
    if solution.level.method.correlation == "ccsd(t)" and solution.cc is not None:
        return _triples_gradient(solution.cc)
    maker = (solution.cc or solution.mp2 or solution.scf).nuc_grad_method()
    if solution.level.method.functional:
        maker.grid_response = True  # otherwise the gradient is that of other energies than those computed
    return np.asarray(maker.kernel(), dtype=float)


def _triples_gradient(cc: Any) -> Array:
    """CCSD(T): the plain call would silently leave the triples out of the lambda equations."""
    from pyscf.cc import ccsd_t_lambda as equations
    from pyscf.grad import ccsd_t

    eris = cc.ao2mo()
    converged, l1, l2 = equations.kernel(cc, eris, cc.t1, cc.t2, max_cycle=cc.max_cycle, tol=cc.conv_tol_normt)
    if not converged:
        raise ConvergenceError("the lambda equations of CCSD(T) did not converge; raise cc_max_cycle")
    return np.asarray(ccsd_t.Gradients(cc).kernel(cc.t1, cc.t2, l1, l2, eris), dtype=float)


def _dispersion_gradient(system: System, level: Level) -> Array:
    assert level.method.dispersion
    return dispersion.energy_and_gradient(level.method.dispersion, system.given, system.mole.atom_coords())[1]


def _energies(system: System, solution: Solution) -> Any:
    """The energy of a displaced geometry, as a function."""
    level, guess = _tight(solution.level), solution.scf.make_rdm1()
    return lambda geometry: at(system, geometry, level, guess).energy


def _tight(level: Level) -> Level:
    from msgspec.structs import asdict

    keywords = level.keywords
    tighter = {name: min(value, asdict(keywords)[name]) for name, value in _TIGHT.items()}
    return replace(level, keywords=type(keywords)(**{**asdict(keywords), **tighter}))


def hessian(system: System, solution: Solution) -> Derivative:
    """The Hessian of a converged solution; InputError where even the gradient would have to be numerical."""
    method, reference = solution.level.method, solution.level.reference
    if method.correlation is None and reference != "rohf" and not method.vv10:
        return _analytic_hessian(system, solution)
    reason = why_numerical(system, solution.level)
    if reason:
        raise InputError(f"no Hessian: it would take differences of numerical gradients, because {reason}")
    level, guess = _tight(solution.level), solution.scf.make_rdm1()
    values = finite_differences.hessian(
        lambda geometry: gradient(*_displaced(system, geometry, level, guess)).values, system.mole.atom_coords()
    )
    return Derivative(values, "numerical (central differences of analytic gradients): PySCF has none for this method")


def _displaced(system: System, geometry: Array, level: Level, guess: Array) -> tuple[System, Solution]:
    solution = at(system, geometry, level, guess)
    return System(system.given, solution.scf.mol, system.basis), solution


def _analytic_hessian(system: System, solution: Solution) -> Derivative:
    """PySCF's Hessian of Hartree-Fock and functionals, with that of the dispersion correction."""
    method, size = solution.level.method, 3 * system.natom
    blocks = np.asarray(solution.scf.Hessian().kernel(), dtype=float)
    values, origin = blocks.transpose(0, 2, 1, 3).reshape(size, size), "analytic"
    if method.functional:
        origin += ", without the response of the grid"
    if method.dispersion:
        values = values + dispersion.hessian(method.dispersion, system.given, system.mole.atom_coords())
        origin += ", dispersion numerical"
    return Derivative(values, origin)
