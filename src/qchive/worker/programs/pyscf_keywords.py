"""The keywords of our PySCF harness, checked before anything is computed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from qcengine.exceptions import InputError

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Keywords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be chosen; everything else PySCF can do is not offered, rather than ignored."""

    reference: Literal["rhf", "uhf", "rohf", "rks", "uks", "roks"] | None = None
    """RHF for singlets, UHF otherwise; the names of Kohn-Sham theory mean the same."""
    cartesian: bool | None = None
    """Cartesian or spherical functions against what the Basis Set Exchange says of the basis."""
    freeze_core: bool | Annotated[int, msgspec.Meta(ge=0)] = False
    """Leave the atomic cores, or so many lowest orbitals, out of the correlation."""
    density_fit: bool = False
    """Approximate Coulomb and exchange integrals of the SCF by density fitting (resolution of the identity)."""
    aux_basis: str | None = None
    """The auxiliary basis; the one that goes with the orbital basis, else def2-universal-jkfit, if not given."""
    grid_level: Annotated[int, msgspec.Meta(ge=0, le=9)] = 3
    """PySCF's level of the integration grid of functionals, from coarse to fine."""
    grid: tuple[Count, Count] | None = None
    """Radial and angular points of each atom, instead of a level."""
    conv_tol: Positive = 1e-10
    """Change of the SCF energy between cycles at which it has converged, in Hartree."""
    conv_tol_grad: Positive | None = None
    """Norm of the orbital gradient at which the SCF has converged; 1e-7 before correlation, else the root of
    `conv_tol`, if not given."""
    max_cycle: Count = 100
    """Cycles after which an SCF that has not converged has failed."""
    level_shift: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Hartree by which virtual orbitals are raised, against an SCF that oscillates."""
    damp: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    """Share of the previous Fock matrix that is mixed in, against an SCF that oscillates."""
    diis_space: Count = 8
    """Fock matrices that the extrapolation (DIIS) remembers."""
    init_guess: Literal["minao", "atom", "huckel", "mod_huckel", "hcore", "1e", "vsap"] = "minao"
    """Where the SCF starts from, by PySCF's names."""
    cc_conv_tol: Positive = 1e-8
    """Change of the coupled-cluster energy between cycles at which it has converged, in Hartree."""
    cc_max_cycle: Count = 100
    """Cycles after which coupled cluster that has not converged has failed."""
    verbose: Annotated[int, msgspec.Meta(ge=0, le=5)] = 4
    """How much PySCF writes into the stored output."""

    def unrestricted_name(self, unpaired: int) -> Literal["rhf", "uhf", "rohf"]:
        """The reference in terms of Hartree-Fock, chosen by the number of unpaired electrons if not given."""
        if self.reference is None:
            return "uhf" if unpaired else "rhf"
        return {"rks": "rhf", "uks": "uhf", "roks": "rohf"}.get(self.reference, self.reference)  # type: ignore[return-value]


def parse(given: dict[str, Any]) -> Keywords:
    """Checked keywords; InputError names the one that is unknown or has a wrong type or value."""
    lowered = {key.lower(): value.lower() if isinstance(value, str) else value for key, value in given.items()}
    try:
        keywords = msgspec.convert(lowered, Keywords)
    except msgspec.ValidationError as error:
        known = ", ".join(Keywords.__struct_fields__)
        raise InputError(f"PySCF keywords: {error}. Known are: {known}") from error
    _check_grid(keywords)
    return keywords


def _check_grid(keywords: Keywords) -> None:
    from pyscf.dft.gen_grid import LEBEDEV_NGRID

    if keywords.grid is not None and keywords.grid[1] not in LEBEDEV_NGRID:
        sizes = ", ".join(str(n) for n in LEBEDEV_NGRID)
        raise InputError(f"grid: {keywords.grid[1]} angular points is no Lebedev grid; there are {sizes}")
