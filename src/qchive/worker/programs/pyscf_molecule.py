"""A QCSchema molecule as PySCF's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from qcengine.exceptions import InputError

from qchive.worker.programs import basis_sets
from qchive.worker.programs.basis_sets import Basis
from qchive.worker.programs.molecule_checks import check_electrons, check_geometry
from qchive.worker.programs.pyscf_keywords import Keywords


@dataclass(frozen=True, slots=True)
class System:
    """The molecule as given, as PySCF holds it, and the basis set it carries."""

    given: Any
    mole: Any
    basis: Basis

    @property
    def natom(self) -> int:
        """Number of centres, ghost atoms included."""
        return int(self.mole.natm)


def build(molecule: Any, basis_name: Any, keywords: Keywords, memory: float, log: Any) -> System:
    """Check the molecule, find its basis and build PySCF's object, logging to `log`; `memory` in GiB.

    Raises InputError for molecules that make no sense and basis sets that do not fit.
    """
    if not isinstance(basis_name, str) or not basis_name.strip():
        raise InputError("PySCF needs a basis set, by name")
    check_geometry(molecule)
    charge, unpaired = check_electrons(molecule)
    basis = basis_sets.load(basis_name.strip(), frozenset(str(s) for s in molecule.symbols))
    mole = _mole(molecule, basis, _cartesian(basis, keywords))
    mole.charge, mole.spin = charge, unpaired
    mole.verbose, mole.stdout, mole.max_memory = keywords.verbose, log, memory * 1024**3 / 1e6
    mole.build(dump_input=False, parse_arg=False)
    if max(mole.nelec) > mole.nao:
        raise InputError(f"{basis.name} has {mole.nao} functions here, too few for {max(mole.nelec)} alpha electrons")
    return System(molecule, mole, basis)


def _cartesian(basis: Basis, keywords: Keywords) -> bool:
    if keywords.cartesian is not None:
        return keywords.cartesian
    if basis.cartesian is None:
        raise InputError(
            f"the Basis Set Exchange has {basis.name} partly Cartesian and partly spherical for these elements, "
            "which PySCF cannot do; choose one with the keyword `cartesian`"
        )
    return basis.cartesian


def _mole(molecule: Any, basis: Basis, cartesian: bool) -> Any:
    """Atoms, functions and potentials; a ghost has the functions of its element, but no potential."""
    from pyscf import gto

    labels = [str(s) if real else f"GHOST-{s}" for s, real in zip(molecule.symbols, molecule.real, strict=True)]
    mole = gto.Mole()
    mole.atom = list(zip(labels, np.asarray(molecule.geometry, dtype=float).reshape(-1, 3).tolist(), strict=True))
    mole.unit = "Bohr"
    mole.basis = {label: basis.shells[label.removeprefix("GHOST-")] for label in labels}
    mole.ecp = {label: basis.potentials[label] for label in labels if label in basis.potentials}
    mole.cart = cartesian
    return mole
