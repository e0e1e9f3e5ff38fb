"""A molecule as it arrives: the closed QCSchema molecule, version 2 of the schema (and 3, which differs in nothing).

The struct is what a request body may hold; msgspec checks keys and types in C. What the values may be is for `sense`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from qchive.errors import InvalidMolecule

Index = Annotated[int, msgspec.Meta(ge=0)]
BondOrder = Annotated[float, msgspec.Meta(ge=0, le=5)]
Bonds = Annotated[list[tuple[Index, Index, BondOrder]], msgspec.Meta(min_length=1)]
Multiplicity = Annotated[float, msgspec.Meta(ge=1)]


class Identifiers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The names under which chemistry's databases know a molecule. The first two are always the server's own."""

    molecule_hash: str | None = None
    molecular_formula: str | None = None
    smiles: str | None = None
    inchi: str | None = None
    inchikey: str | None = None
    canonical_explicit_hydrogen_smiles: str | None = None
    canonical_isomeric_explicit_hydrogen_mapped_smiles: str | None = None
    canonical_isomeric_explicit_hydrogen_smiles: str | None = None
    canonical_isomeric_smiles: str | None = None
    canonical_smiles: str | None = None
    pubchem_cid: str | int | None = None
    pubchem_sid: str | int | None = None
    pubchem_conformerid: str | int | None = None

    def given(self) -> dict[str, str]:
        """Those that are set, as text."""
        return {key: str(value) for key, value in msgspec.structs.asdict(self).items() if value is not None}


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One molecule of a request. `geometry` is flat, 3 numbers for each atom, in Bohr; masses in u; charges in e."""

    symbols: list[str]
    geometry: list[float]
    schema_name: Literal["qcschema_molecule"] | None = None
    schema_version: Literal[2, 3] | None = None
    validated: bool | None = None
    name: str | None = None
    identifiers: Identifiers | None = None
    comment: str | None = None
    molecular_charge: float | None = None
    molecular_multiplicity: Multiplicity | None = None
    masses: list[float | None] | None = None
    mass_numbers: list[int] | None = None
    real: list[bool] | None = None
    atom_labels: list[str] | None = None
    atomic_numbers: list[int] | None = None
    connectivity: Bonds | None = None
    fragments: list[list[Index]] | None = None
    fragment_charges: list[float | None] | None = None
    fragment_multiplicities: list[Multiplicity | None] | None = None
    fix_com: bool | None = None
    fix_orientation: bool | None = None
    fix_symmetry: str | None = None
    provenance: dict[str, Any] | None = None
    extras: dict[str, Any] | None = None
    id: Any = None


def read(data: Mapping[str, Any]) -> Body:
    """The molecule in a decoded request body; InvalidMolecule for unknown keys and wrong types.

    The geometry may also come as one list for each atom.
    """
    geometry = data.get("geometry")
    if isinstance(geometry, list | tuple) and geometry and isinstance(geometry[0], list | tuple):
        data = {**data, "geometry": _flat(geometry)}
    try:
        return msgspec.convert(data, Body)
    except msgspec.ValidationError as error:
        raise InvalidMolecule(f"not a molecule of QCSchema: {error}") from error


def read_geometry(data: Mapping[str, Any]) -> list[float]:
    """The geometry of a molecule, flat, in Bohr; InvalidMolecule if it is none."""
    geometry = data.get("geometry")
    if isinstance(geometry, list | tuple) and geometry and isinstance(geometry[0], list | tuple):
        geometry = _flat(geometry)
    try:
        return msgspec.convert(geometry, list[float])
    except msgspec.ValidationError as error:
        raise InvalidMolecule(f"not a molecule of QCSchema: {error} of `geometry`") from error


def _flat(rows: list[Any] | tuple[Any, ...]) -> list[Any]:
    if not all(isinstance(row, list | tuple) and len(row) == 3 for row in rows):
        raise InvalidMolecule("`geometry` must be x, y, z of each atom, in Bohr: a flat list, or one of three each")
    return [coordinate for row in rows for coordinate in row]
