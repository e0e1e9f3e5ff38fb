"""Energies with PySCF: the self-consistent field, and correlation on top of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from qcengine.exceptions import ConvergenceError, InputError

from qchive.worker.programs import dispersion
from qchive.worker.programs.basis_sets import load_auxiliary
from qchive.worker.programs.pyscf_keywords import Keywords
from qchive.worker.programs.pyscf_method import Method
from qchive.worker.programs.pyscf_molecule import System
from qchive.worker.programs.pyscf_rohf import mp2_singles, semicanonical


@dataclass(frozen=True, slots=True)
class Level:
    """Everything that defines an energy but the molecule."""

    method: Method
    keywords: Keywords
    reference: Literal["rhf", "uhf", "rohf"]


@dataclass(frozen=True, slots=True)
class Solution:
    """PySCF's converged objects; energies in Hartree."""

    level: Level
    scf: Any
    mp2: Any = None
    cc: Any = None
    singles: float = 0.0
    """Of MP2 on ROHF."""
    triples: float = 0.0
    dispersion: float = 0.0

    @property
    def energy(self) -> float:
        """The energy of the method asked for."""
        top = self.cc or self.mp2 or self.scf
        return float(top.e_tot) + self.singles + self.triples + self.dispersion


def solve(system: System, level: Level, guess: NDArray[np.float64] | None = None) -> Solution:
    """The energy of a molecule, the SCF starting from a density matrix if one is given.

    Raises ConvergenceError if SCF or coupled cluster do not converge, InputError if the reference does not fit.
    """
    scf = _converge(_field(system, level), level, guess)
    method, correction = level.method, 0.0
    if method.dispersion:
        correction, _ = dispersion.energy_and_gradient(method.dispersion, system.given, system.mole.atom_coords())
    if method.correlation is None:
        return Solution(level, scf, dispersion=correction)
    frozen = frozen_orbitals(system.mole, level.keywords)
    if _nothing_to_correlate(scf, frozen):
        return Solution(level, scf)
    orbitals = semicanonical(scf) if level.reference == "rohf" else scf
    if method.correlation == "mp2":
        singles = mp2_singles(orbitals, frozen) if level.reference == "rohf" else 0.0
        return Solution(level, scf, mp2=_mp2(orbitals, frozen), singles=singles)
    cc = _ccsd(orbitals, frozen, level.keywords)
    return Solution(level, scf, cc=cc, triples=float(cc.ccsd_t()) if method.correlation == "ccsd(t)" else 0.0)


def at(system: System, geometry: NDArray[np.float64], level: Level, guess: NDArray[np.float64]) -> Solution:
    """The same molecule elsewhere (natom, 3; Bohr), without log, from the density of a nearby geometry."""
    moved = system.mole.set_geom_(geometry, unit="Bohr", inplace=False)
    moved.verbose = 0
    return solve(System(system.given, moved, system.basis), level, guess)


def frozen_orbitals(mole: Any, keywords: Keywords) -> int:
    """Number of doubly occupied orbitals left out of the correlation."""
    from pyscf.data.elements import chemcore

    if keywords.freeze_core is True:
        return int(chemcore(mole))
    return int(keywords.freeze_core)


def _nothing_to_correlate(scf: Any, frozen: int) -> bool:
    """Whether there is one electron or no empty orbital: PySCF fails then, but the correlation energy is just zero.

    Raises InputError if more orbitals are to be frozen than are doubly occupied.
    """
    mole = scf.mol
    if frozen > min(mole.nelec):
        raise InputError(f"freeze_core: there are fewer than {frozen} doubly occupied orbitals to freeze")
    return bool(sum(mole.nelec) - 2 * frozen < 2 or np.shape(scf.mo_coeff)[-1] == min(mole.nelec))


def _field(system: System, level: Level) -> Any:
    """The mean-field object for reference, functional, grid and density fitting."""
    from pyscf import dft
    from pyscf.scf import hf, rohf, uhf

    mole = system.mole
    if level.reference == "rhf" and mole.spin:
        raise InputError(f"reference rhf is for singlets, this molecule has multiplicity {mole.spin + 1}")
    method, keywords = level.method, level.keywords
    hartree_fock: dict[str, Callable[..., Any]] = {"rhf": hf.RHF, "uhf": uhf.UHF, "rohf": rohf.ROHF}
    kohn_sham: dict[str, Callable[..., Any]] = {"rhf": dft.RKS, "uhf": dft.UKS, "rohf": dft.ROKS}
    if method.functional is None:
        field = hartree_fock[level.reference](mole)
    else:
        field = kohn_sham[level.reference](mole, xc=method.functional)
        field.nlc = "" if method.vv10 else False
        field.grids.level = keywords.grid_level
        # VV10 costs the square of the points and is smooth: two levels coarser loses less than the rest of the grid
        field.nlcgrids.level = max(keywords.grid_level - 2, 0)
        if keywords.grid:
            field.grids.atom_grid = keywords.grid
    if keywords.density_fit:
        field = field.density_fit(auxbasis=_auxiliary(system, keywords))
    return field


def _auxiliary(system: System, keywords: Keywords) -> dict[str, Any]:
    """The auxiliary basis asked for, or the one that goes with the orbital basis; PySCF's own can be 1 mHartree off."""
    labels = [str(system.mole.atom_symbol(atom)) for atom in range(system.natom)]
    name = keywords.aux_basis or system.basis.auxiliary
    try:
        shells = load_auxiliary(name, frozenset(label.removeprefix("GHOST-") for label in labels)).shells
    except InputError as error:
        raise InputError(f"density_fit: {error.raw_message}; name an auxiliary basis with aux_basis") from error
    return {label: shells[label.removeprefix("GHOST-")] for label in labels}


def _converge(field: Any, level: Level, guess: NDArray[np.float64] | None) -> Any:
    """Run the SCF: PySCF itself says nothing when it fails."""
    keywords = level.keywords
    # the error of correlation energies is linear in that of the orbitals, that of the SCF energy quadratic
    tolerance = keywords.conv_tol_grad or (1e-7 if level.method.correlation else None)
    field.chkfile = None
    field.conv_tol, field.conv_tol_grad = keywords.conv_tol, tolerance
    field.max_cycle, field.diis_space = keywords.max_cycle, keywords.diis_space
    field.level_shift, field.init_guess = keywords.level_shift, keywords.init_guess
    if keywords.damp:
        field.damp = keywords.damp
    field.kernel(dm0=guess)
    if not field.converged:
        raise ConvergenceError(
            f"the SCF did not converge in {keywords.max_cycle} cycles; "
            "try the keywords max_cycle, level_shift, damp or init_guess"
        )
    return field


def _mp2(scf: Any, frozen: int) -> Any:
    from pyscf import mp

    perturbation = mp.MP2(scf, frozen=frozen or None)
    perturbation.kernel()
    if not getattr(perturbation, "converged", True):
        raise ConvergenceError("the iterative MP2 of non-canonical orbitals did not converge")
    return perturbation


def _ccsd(scf: Any, frozen: int, keywords: Keywords) -> Any:
    from pyscf import cc

    cluster = cc.CCSD(scf, frozen=frozen or None)
    cluster.conv_tol, cluster.max_cycle = keywords.cc_conv_tol, keywords.cc_max_cycle
    cluster.conv_tol_normt = keywords.cc_conv_tol**0.5 / 10
    cluster.kernel()
    if not cluster.converged:
        raise ConvergenceError(f"CCSD did not converge in {keywords.cc_max_cycle} cycles; raise cc_max_cycle")
    return cluster
