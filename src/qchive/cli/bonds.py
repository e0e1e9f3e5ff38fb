"""Bonds for programs that cannot do without them, derived from where the atoms are.

Force fields need bond orders, which a geometry alone does not state. RDKit finds them; without it, only molecules
are taken in which every atom has all its bonds as single ones, so that nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from qchive.errors import InvalidMolecule

BOHR = 0.529177210903
"""In Ångström (CODATA 2018)."""

NEEDED_BY = frozenset({"rdkit", "openmm"})
"""Programs that refuse molecules without bonds."""

_SINGLE_BONDS = {"H": 1, "F": 1, "Cl": 1, "Br": 1, "I": 1, "O": 2, "S": 2, "N": 3, "P": 3, "C": 4, "Si": 4}

Bonds = list[tuple[int, int, float]]


def with_bonds(molecule: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The molecule with its `connectivity`: what it has, else what its geometry (Bohr) implies.

    A single atom has none: QCSchema does not allow an empty list.

    Raises:
        InvalidMolecule: the bonds cannot be told from the geometry; the message names the molecule.
    """
    if molecule.get("connectivity") or len(molecule["symbols"]) == 1:
        return dict(molecule)
    try:
        bonds = _from_rdkit(molecule) if find_spec("rdkit") else _only_single(molecule)
    except ValueError as error:
        raise InvalidMolecule(_advice(name, _first_line(error))) from error
    if not bonds:
        raise InvalidMolecule(_advice(name, "no two atoms are close enough"))
    return {**molecule, "connectivity": [list(bond) for bond in bonds]}


def _from_rdkit(molecule: Mapping[str, Any]) -> Bonds:
    """Bonds and their orders as xyz2mol finds them (Kim and Kim, 2015); aromatic rings as single and double bonds."""
    from rdkit import Chem, RDLogger
    from rdkit.Chem import rdDetermineBonds
    from rdkit.Geometry import Point3D

    atoms = Chem.RWMol()
    for symbol in molecule["symbols"]:
        atoms.AddAtom(Chem.Atom(symbol.title()))
    xyz = [BOHR * x for x in molecule["geometry"]]
    conformer = Chem.Conformer(len(molecule["symbols"]))
    for i in range(len(molecule["symbols"])):
        conformer.SetAtomPosition(i, Point3D(*xyz[3 * i : 3 * i + 3]))
    atoms.AddConformer(conformer)
    with _Quiet(RDLogger):
        rdDetermineBonds.DetermineBonds(atoms, charge=round(molecule.get("molecular_charge", 0)))
        Chem.Kekulize(atoms, clearAromaticFlags=True)
    return sorted(_bond(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), b.GetBondTypeAsDouble()) for b in atoms.GetBonds())


def _bond(a: int, b: int, order: float) -> tuple[int, int, float]:
    return min(a, b), max(a, b), order


class _Quiet:
    """Keeps RDKit from writing on stderr what it raises anyway."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def __enter__(self) -> None:
        self._log.DisableLog("rdApp.*")

    def __exit__(self, *_: object) -> None:
        self._log.EnableLog("rdApp.*")


def _only_single(molecule: Mapping[str, Any]) -> Bonds:
    """Bonds by distance alone, for molecules in which all of them are single.

    Raises ValueError for all others.
    """
    from qcelemental.molutil import guess_connectivity

    symbols = [symbol.title() for symbol in molecule["symbols"]]
    pairs = [(int(a), int(b)) for a, b in guess_connectivity(symbols, molecule["geometry"])]
    bonded = Counter(atom for pair in pairs for atom in pair)
    if any(bonded[i] != _SINGLE_BONDS.get(symbol) for i, symbol in enumerate(symbols)):
        raise ValueError('not all of them are single bonds, and telling their orders takes RDKit (pip install "rdkit")')
    return sorted(_bond(a, b, 1.0) for a, b in pairs)


def _advice(name: str, why: str) -> str:
    return f"{name}: its bonds cannot be derived from the geometry ({why}); give QCSchema JSON with `connectivity`"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
