"""A PySCF script that repeats a calculation without QCHive: the native input file of our harness."""

from __future__ import annotations

import pprint
from typing import Any

from qchive.worker.programs.pyscf_molecule import System
from qchive.worker.programs.pyscf_solution import Solution, frozen_orbitals


def script(spec: Any, system: System, solution: Solution) -> str:
    """Python source that computes the energy; functions and potentials are written out, dispersion is a comment."""
    mole, level = system.mole, solution.level
    lines = [
        f"# {spec.model.method}/{system.basis.name}: {level.method.description or 'Hartree-Fock'}",
        "from pyscf import cc, dft, gto, mp, scf",
        "",
        "mol = gto.Mole()",
        'mol.unit = "Bohr"',
        *(f"mol.{name} = {pprint.pformat(getattr(mole, name), width=110)}" for name in ("atom", "basis", "ecp")),
        f"mol.charge, mol.spin, mol.cart = {mole.charge}, {mole.spin}, {mole.cart}",
        "mol.build()",
        *_field(level),
        "mf.kernel()",
        *_correlation(solution),
    ]
    if level.method.dispersion:
        lines.append(f"# add {level.method.dispersion.describe()}: {solution.dispersion:.12f} Hartree")
    return "\n".join(lines) + "\n"


def _field(level: Any) -> list[str]:
    method, keywords = level.method, level.keywords
    if method.functional is None:
        lines = [f"mf = scf.{level.reference.upper()}(mol)"]
    else:
        lines = [
            f"mf = dft.{level.reference.upper().replace('HF', 'KS')}(mol, xc={method.functional!r})",
            f"mf.nlc = {'' if method.vv10 else False!r}",
            f"mf.grids.{'atom_grid' if keywords.grid else 'level'} = {keywords.grid or keywords.grid_level}",
        ]
    if keywords.density_fit:
        lines.append(f"mf = mf.density_fit(auxbasis={keywords.aux_basis!r})")
    return [*lines, f"mf.conv_tol, mf.max_cycle = {keywords.conv_tol}, {keywords.max_cycle}"]


def _correlation(solution: Solution) -> list[str]:
    level = solution.level
    frozen = frozen_orbitals(solution.scf.mol, level.keywords) or None
    if level.method.correlation is None:
        return []
    if level.method.correlation == "mp2":
        return [f"mp.MP2(mf, frozen={frozen}).run()"]
    lines = [f"mycc = cc.CCSD(mf, frozen={frozen}).run()"]
    return [*lines, "mycc.ccsd_t()"] if level.method.correlation == "ccsd(t)" else lines
