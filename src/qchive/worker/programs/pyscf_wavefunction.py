"""The SCF wavefunction in QCSchema's form, with the basis set it is expressed in.

QCSchema orders functions as the Common Component Architecture does: within a shell, spherical functions by m from -l
to l, Cartesian ones lexically (xx, xy, xz, yy, yz, zz) with the norm of x^l. PySCF differs in two ways that are undone
here: it has p functions as x, y, z (m = 1, -1, 0), and its Cartesian functions from d on lack the angular norm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qchive.worker.programs.pyscf_molecule import System
from qchive.worker.programs.pyscf_solution import Solution

Array = NDArray[np.float64]


def wavefunction(system: System, solution: Solution) -> dict[str, Any]:
    """The fields of QCSchema's WavefunctionProperties; the protocol of the input picks among them."""
    order, norms = _order_and_norms(system.mole)
    scf, restricted = solution.scf, solution.level.reference == "rhf"
    density = np.asarray(scf.make_rdm1())
    fock = np.asarray(scf.get_fock(dm=density)) if solution.level.reference != "rohf" else _rohf_fock(scf, density)
    values: dict[str, Any] = {"basis": basis_set(system), "restricted": restricted}
    for channel, spin in enumerate(("a",) if restricted else ("a", "b")):
        coefficients, energies, occupations = _orbitals(solution, channel)
        spin_density = density / 2 if restricted else density[channel]
        matrix = fock if restricted else fock[channel]
        values |= {
            f"scf_orbitals_{spin}": coefficients[order] * norms[order, None],
            f"scf_eigenvalues_{spin}": energies,
            f"scf_occupations_{spin}": occupations,
            f"scf_density_{spin}": spin_density[np.ix_(order, order)] * np.outer(norms[order], norms[order]),
            f"scf_fock_{spin}": matrix[np.ix_(order, order)] / np.outer(norms[order], norms[order]),
            f"h_core_{spin}": scf.get_hcore()[np.ix_(order, order)] / np.outer(norms[order], norms[order]),
        }
        for name in ("orbitals", "eigenvalues", "occupations", "density", "fock"):
            values[f"{name}_{spin}"] = f"scf_{name}_{spin}"
    return values


def _orbitals(solution: Solution, channel: int) -> tuple[Array, Array, Array]:
    """Coefficients (nao, nmo), energies and occupations (nmo) of one spin, 0 alpha or 1 beta."""
    scf, reference = solution.scf, solution.level.reference
    if reference == "uhf":
        return scf.mo_coeff[channel], scf.mo_energy[channel], scf.mo_occ[channel]
    if reference == "rhf":
        return scf.mo_coeff, np.asarray(scf.mo_energy), scf.mo_occ / 2
    return scf.mo_coeff, np.asarray(scf.mo_energy), (scf.mo_occ > channel).astype(float)


def _rohf_fock(scf: Any, density: Array) -> Array:
    """Alpha and beta Fock matrices; PySCF's ROHF otherwise hands out the effective one."""
    return np.asarray(scf.get_hcore() + scf.get_veff(dm=density))


def _order_and_norms(mole: Any) -> tuple[NDArray[np.intp], Array]:
    """Which of PySCF's functions stands where in QCSchema's order, and the norm of each as PySCF has it."""
    order: list[int] = []
    norms: list[float] = []
    overlap = np.diag(mole.intor("int1e_ovlp"))
    start = 0
    for l_value, contractions in ((mole.bas_angular(i), mole.bas_nctr(i)) for i in range(mole.nbas)):
        size = (l_value + 1) * (l_value + 2) // 2 if mole.cart else 2 * l_value + 1
        for _ in range(contractions):
            places = (1, 2, 0) if l_value == 1 and not mole.cart else range(size)
            order.extend(start + p for p in places)
            norms.extend([float(np.sqrt(overlap[start]))] * size)
            start += size
    return np.asarray(order), np.asarray(norms)


def basis_set(system: System) -> dict[str, Any]:
    """QCSchema's BasisSet, shells in the order of the functions, contracted over normalised primitives."""
    mole = system.mole
    centres: dict[str, Any] = {}
    atom_map: list[str] = []
    for atom in range(mole.natm):
        label = str(mole.atom_symbol(atom))
        atom_map.append(label)
        if label not in centres:
            centres[label] = _centre(system, atom, label)
    return {"name": system.basis.name, "description": system.basis.source, "center_data": centres, "atom_map": atom_map}


def _centre(system: System, atom: int, label: str) -> dict[str, Any]:
    mole = system.mole
    shells = [
        {
            "angular_momentum": [int(mole.bas_angular(i))],
            "harmonic_type": "cartesian" if mole.cart else "spherical",
            "exponents": mole.bas_exp(i).tolist(),
            "coefficients": [mole.bas_ctr_coeff(i)[:, column].tolist()],
        }
        for i in mole.atom_shell_ids(atom)
        for column in range(mole.bas_nctr(i))
    ]
    centre: dict[str, Any] = {"electron_shells": shells}
    if label in system.basis.potentials:
        electrons, terms = system.basis.potentials[label]
        centre |= {"ecp_electrons": int(electrons), "ecp_potentials": _potentials(terms)}
    return centre


def _potentials(terms: list[Any]) -> list[dict[str, Any]]:
    """PySCF's [l, [[exponent, coefficient] … for r^0, r^1, …]] as QCSchema's; l = -1 is the local term."""
    highest = 1 + max(l_value for l_value, _ in terms)
    result = []
    for l_value, powers in terms:
        gaussians = [(power, *pair) for power, pairs in enumerate(powers) for pair in pairs]
        result.append(
            {
                "ecp_type": "scalar",
                "angular_momentum": [highest if l_value < 0 else int(l_value)],
                "r_exponents": [power for power, _, _ in gaussians],
                "gaussian_exponents": [float(exponent) for _, exponent, _ in gaussians],
                "coefficients": [[float(coefficient) for _, _, coefficient in gaussians]],
            }
        )
    return result
