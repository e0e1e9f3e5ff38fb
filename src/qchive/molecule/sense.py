"""Whether a molecule can exist: one function per thing that can be wrong, each refusing with what to do about it.

Nothing here refuses what qcelemental lets through for a good reason: ghost atoms, dummies, isotopes, fractional charges
and multiplicities, bare nuclei, fragments of any shape. It does refuse what qcelemental lets through by accident:
coordinates that are no numbers, bonds to atoms that are not there, fifty extra electrons.
"""

from __future__ import annotations

from math import isfinite

from qchive.errors import InvalidMolecule
from qchive.molecule.body import Body
from qchive.molecule.identity import element

TOO_CLOSE = 0.1
"""Bohr. Nearer atoms are taken for one atom given twice, as in qcelemental."""
TOO_FAR = 1e9
"""Bohr, five centimetres. Beyond it, double precision no longer tells apart the eight decimals of the hash."""
ELECTRONS_TO_SPARE = 8
"""What one atom could take up beyond its own electrons: a whole valence shell."""

SAME_CHARGE = 1e-4
"""The last digit of a charge that the hash tells apart."""

# Distances are compared along a direction that molecules are not drawn along or across.
_DIRECTION = (0.5298129, 0.3841206, 0.7561388)


def check_shape(body: Body) -> None:
    """Refuse no atoms, lists of the wrong length, and anything that is not a finite number."""
    nat = len(body.symbols)
    if nat == 0:
        raise InvalidMolecule("the molecule has no atoms: `symbols` is empty")
    if len(body.geometry) != 3 * nat:
        raise InvalidMolecule(
            f"`geometry` has {len(body.geometry)} numbers, but x, y, z (Bohr) of {nat} atoms are {3 * nat}"
        )
    for key in ("masses", "mass_numbers", "real", "atom_labels", "atomic_numbers"):
        values = getattr(body, key)
        if values is not None and len(values) != nat:
            raise InvalidMolecule(f"`{key}` has {len(values)} entries for {nat} atoms: give one for each, or none")
    _check_finite(body)


def _check_finite(body: Body) -> None:
    # Written so that NaN, for which every comparison is false, is refused as well.
    if not all(-TOO_FAR < x < TOO_FAR for x in body.geometry):
        at = next(i for i, x in enumerate(body.geometry) if not abs(x) < TOO_FAR)
        raise InvalidMolecule(
            f"coordinate {'xyz'[at % 3]} of atom {at // 3} is {body.geometry[at]}: "
            f"coordinates are finite numbers below {TOO_FAR:g} Bohr"
        )
    for key in ("molecular_charge", "molecular_multiplicity"):
        value = getattr(body, key)
        if value is not None and not isfinite(value):
            raise InvalidMolecule(f"`{key}` is {value}: it must be a finite number")
    for key in ("masses", "fragment_charges", "fragment_multiplicities"):
        for i, value in enumerate(getattr(body, key) or ()):
            if value is not None and not isfinite(value):
                raise InvalidMolecule(f"`{key}` is {value} at position {i}: it must be a finite number")


def check_atoms(body: Body) -> list[int]:
    """Refuse unknown elements, impossible masses, and atomic numbers of other elements; the nuclear charges."""
    protons = [element(symbol).z for symbol in body.symbols]
    if body.atomic_numbers is not None and body.atomic_numbers != protons:
        raise InvalidMolecule("`atomic_numbers` belong to other elements than `symbols`: correct or omit them")
    if body.masses is not None and any(mass is not None and mass < 0 for mass in body.masses):
        raise InvalidMolecule("`masses` holds a negative mass: give masses in u, or omit them")
    if body.mass_numbers is not None and any(number < -1 for number in body.mass_numbers):
        raise InvalidMolecule("`mass_numbers` holds a negative number: only -1, for an unknown isotope, is allowed")
    return protons


def check_distances(body: Body) -> None:
    """Refuse atoms on top of each other, in time about linear in the number of atoms."""
    a, b, c = _DIRECTION
    xyz = body.geometry
    atoms = sorted(
        (a * x + b * y + c * z, x, y, z, i)
        for i, (x, y, z) in enumerate(zip(xyz[0::3], xyz[1::3], xyz[2::3], strict=True))
    )
    for n, (along, x, y, z, i) in enumerate(atoms, start=1):
        for k in range(n, len(atoms)):
            further, x2, y2, z2, j = atoms[k]
            if further - along > TOO_CLOSE:
                break
            squared = (x - x2) ** 2 + (y - y2) ** 2 + (z - z2) ** 2
            if squared < TOO_CLOSE**2:
                raise InvalidMolecule(
                    f"atoms {min(i, j)} and {max(i, j)} overlap: they are {squared**0.5:.3f} Bohr apart; "
                    "geometries are in Bohr, and no two atoms or ghosts may be nearer than "
                    f"{TOO_CLOSE} Bohr"
                )


def check_bonds(body: Body) -> None:
    """Refuse bonds to atoms that are not there, and of an atom to itself."""
    nat = len(body.symbols)
    for i, j, _ in body.connectivity or ():
        if i >= nat or j >= nat:
            raise InvalidMolecule(f"`connectivity` has a bond {i}-{j}, but the {nat} atoms are numbered from 0")
        if i == j:
            raise InvalidMolecule(f"`connectivity` binds atom {i} to itself")


def check_fragments(body: Body) -> None:
    """Refuse fragments that are not a partition of the atoms, and lists that don't fit the fragments."""
    nat = len(body.symbols)
    fragments = body.fragments
    if fragments is not None and not (
        all(fragments) and sorted(i for fragment in fragments for i in fragment) == list(range(nat))
    ):
        raise InvalidMolecule(
            f"`fragments` is no partition: each of the {nat} atoms (from 0) belongs to exactly one, and none is empty"
        )
    count = 1 if fragments is None else len(fragments)
    for key in ("fragment_charges", "fragment_multiplicities"):
        values = getattr(body, key)
        if values is not None and len(values) != count:
            raise InvalidMolecule(f"`{key}` has {len(values)} entries for {count} fragments: give one for each")


def check_complete(body: Body) -> None:
    """Refuse gaps in the lists of a molecule that claims to be validated."""
    for key in ("masses", "fragment_charges", "fragment_multiplicities"):
        if None in (getattr(body, key) or ()):
            raise InvalidMolecule(f"`{key}` has gaps: fill them, or send the molecule without `validated`")


def nuclear_charges(body: Body, protons: list[int]) -> list[int]:
    """The nuclear charges that electrons see: none at ghost atoms."""
    return protons if body.real is None else [z if real else 0 for z, real in zip(protons, body.real, strict=True)]


def check_electrons(body: Body, protons: list[int]) -> None:
    """Refuse charges and multiplicities that the electrons of molecule or fragments cannot have (ghosts have none).

    Source: rules R2, R4, R5 and R9 of qcelemental's `molparse.chgmult`.
    """
    nuclei = nuclear_charges(body, protons)
    charge, multiplicity = body.molecular_charge, body.molecular_multiplicity
    if charge is not None and multiplicity is not None:
        _check_spin("the molecule", nuclei, charge, multiplicity)
    charges, multiplicities = body.fragment_charges or [], body.fragment_multiplicities or []
    known = [value for value in charges if value is not None]
    if charge is not None and charges and len(known) == len(charges) and abs(sum(known) - charge) > SAME_CHARGE:
        raise InvalidMolecule(f"`fragment_charges` add up to {sum(known):+g}, but `molecular_charge` is {charge:+g}")
    for n, (fragment, c, m) in enumerate(zip(body.fragments or (), charges, multiplicities, strict=False)):
        if c is not None and m is not None:
            _check_spin(f"fragment {n}", [nuclei[i] for i in fragment], c, m)


def _check_spin(what: str, nuclei: list[int], charge: float, multiplicity: float) -> None:
    neutral = sum(nuclei)
    electrons = neutral - charge
    if electrons < 0:
        raise InvalidMolecule(f"charge {charge:+g} takes more electrons away than the {neutral} that {what} has")
    if -charge > ELECTRONS_TO_SPARE * sum(1 for z in nuclei if z):
        raise InvalidMolecule(f"charge {charge:+g} is more electrons than the atoms of {what} can hold")
    if multiplicity - 1 > electrons:
        raise InvalidMolecule(
            f"multiplicity {multiplicity:g} means {multiplicity - 1:g} unpaired electrons, "
            f"but {what} has only {electrons:g} with charge {charge:+g}"
        )
    if float(multiplicity).is_integer() and multiplicity % 2 == electrons % 2:
        raise InvalidMolecule(
            f"charge {charge:+g} and multiplicity {multiplicity:g} do not fit {what}: "
            f"{electrons:g} electrons need an {'even' if electrons % 2 else 'odd'} multiplicity"
        )
