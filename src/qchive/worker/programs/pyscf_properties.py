"""What QCSchema calls properties, from PySCF's objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from qchive.worker.programs.pyscf_molecule import System
from qchive.worker.programs.pyscf_solution import Solution


def properties(system: System, solution: Solution) -> dict[str, Any]:
    """The fields of QCSchema's AtomicProperties, in atomic units, without derivatives."""
    mole, scf = system.mole, solution.scf
    values: dict[str, Any] = {
        "calcinfo_natom": system.natom,
        "calcinfo_nbasis": int(mole.nao),
        "calcinfo_nmo": int(np.shape(scf.mo_coeff)[-1]),
        "calcinfo_nalpha": int(mole.nelec[0]),
        "calcinfo_nbeta": int(mole.nelec[1]),
        "nuclear_repulsion_energy": float(mole.energy_nuc()),
        "return_energy": solution.energy,
    }
    values |= _scf(solution)
    if solution.mp2 is not None:
        values |= _mp2(solution)
    elif solution.cc is not None:
        values |= _coupled_cluster(solution)
    elif solution.level.method.correlation:
        values |= _no_correlation(solution)
    return values


def report(solution: Solution) -> dict[str, Any]:
    """The answer of the driver `properties`: dipole (e a0), Mulliken charges, both of the SCF density."""
    scf = solution.scf
    _, charges = scf.mulliken_pop(verbose=0)
    return {
        "dipole": scf.dip_moment(unit="AU", verbose=0).tolist(),
        "mulliken_charges": np.asarray(charges, dtype=float).tolist(),
        "spin_squared": spin_squared(solution),
    }


def spin_squared(solution: Solution) -> float:
    """<S²> of the SCF determinant; exact for RHF and ROHF."""
    if solution.level.reference == "uhf":
        return float(solution.scf.spin_square()[0])
    spin = solution.scf.mol.spin / 2
    return float(spin * (spin + 1))


def _scf(solution: Solution) -> dict[str, Any]:
    """The self-consistent field; its total energy includes the dispersion correction, as elsewhere in QCSchema."""
    scf, method = solution.scf, solution.level.method
    values: dict[str, Any] = {
        "scf_total_energy": float(scf.e_tot) + solution.dispersion,
        "scf_iterations": int(scf.cycles),
        "scf_dipole_moment": scf.dip_moment(unit="AU", verbose=0).tolist(),
        "scf_one_electron_energy": float(scf.scf_summary["e1"]),
    }
    if method.functional is None:
        values["scf_two_electron_energy"] = float(scf.scf_summary["e2"])
    if method.dispersion:
        values["scf_dispersion_correction_energy"] = solution.dispersion
    return values


def _mp2(solution: Solution) -> dict[str, Any]:
    perturbation = solution.mp2
    doubles = float(perturbation.e_corr)
    return {
        "mp2_singles_energy": solution.singles,
        "mp2_doubles_energy": doubles,
        "mp2_same_spin_correlation_energy": float(perturbation.e_corr_ss),
        "mp2_opposite_spin_correlation_energy": float(perturbation.e_corr_os),
        "mp2_correlation_energy": doubles + solution.singles,
        "mp2_total_energy": solution.energy,
    }


def _coupled_cluster(solution: Solution) -> dict[str, Any]:
    """CCSD and CCSD(T), with MP2 of the first iteration where the orbitals are canonical."""
    cc = solution.cc
    values: dict[str, Any] = {
        "ccsd_correlation_energy": float(cc.e_corr),
        "ccsd_total_energy": float(cc.e_tot),
        "ccsd_iterations": int(cc.cycles),
    }
    if solution.level.reference != "rohf":
        values["mp2_correlation_energy"] = float(cc.emp2)
        values["mp2_total_energy"] = float(solution.scf.e_tot + cc.emp2)
    if solution.level.method.correlation == "ccsd(t)":
        values["ccsd_prt_pr_correlation_energy"] = float(cc.e_corr) + solution.triples
        values["ccsd_prt_pr_total_energy"] = solution.energy
    return values


def _no_correlation(solution: Solution) -> dict[str, Any]:
    """A single electron, or no empty orbital."""
    stem = {"mp2": "mp2", "ccsd": "ccsd", "ccsd(t)": "ccsd_prt_pr"}[str(solution.level.method.correlation)]
    return {f"{stem}_correlation_energy": 0.0, f"{stem}_total_energy": solution.energy}
