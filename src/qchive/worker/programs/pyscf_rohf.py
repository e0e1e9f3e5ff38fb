"""Correlation on ROHF orbitals, as other programs define it.

PySCF hands ROHF orbitals to its UHF code as they are: its MP2 then has neither the singles nor well-defined
denominators (3 mHartree off for NH2), its CCSD(T) depends on how the orbitals were rotated. Semicanonical orbitals
(Fock matrix diagonal among the occupied and among the virtual orbitals of each spin) are what Psi4 and CFOUR use.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def semicanonical(rohf: Any) -> Any:
    """A UHF object with the same determinant in semicanonical orbitals."""
    density = rohf.make_rdm1()
    focks = rohf.get_hcore() + rohf.get_veff(dm=density)
    coefficients, energies, occupations = [], [], []
    for fock, occupied in zip(focks, (rohf.mo_occ > 0, rohf.mo_occ > 1), strict=True):
        rotated, levels = _diagonal_blocks(rohf.mo_coeff, fock, occupied)
        coefficients.append(rotated)
        energies.append(levels)
        occupations.append(occupied.astype(float))
    uhf = rohf.to_uhf()
    uhf.chkfile = None
    uhf.mo_coeff, uhf.mo_energy, uhf.mo_occ = np.array(coefficients), np.array(energies), np.array(occupations)
    uhf.e_tot, uhf.converged = rohf.e_tot, True
    return uhf


def _diagonal_blocks(orbitals: Any, fock: Any, occupied: Any) -> tuple[Any, Any]:
    rotated, levels = orbitals.copy(), np.zeros(len(occupied))
    for block in (occupied, ~occupied):
        part = orbitals[:, block]
        levels[block], rotation = np.linalg.eigh(part.T @ fock @ part)
        rotated[:, block] = part @ rotation
    return rotated, levels


def mp2_singles(uhf: Any, frozen: int) -> float:
    """The singles of MP2 on semicanonical orbitals, in Hartree: zero for UHF by Brillouin's theorem, not for ROHF."""
    total = 0.0
    for fock, orbitals, energies, occupations in zip(
        uhf.get_fock(dm=uhf.make_rdm1()), uhf.mo_coeff, uhf.mo_energy, uhf.mo_occ, strict=True
    ):
        occupied, virtual = np.flatnonzero(occupations > 0)[frozen:], np.flatnonzero(occupations == 0)
        coupling = orbitals[:, occupied].T @ fock @ orbitals[:, virtual]
        total += float((coupling**2 / (energies[occupied, None] - energies[None, virtual])).sum())
    return total
