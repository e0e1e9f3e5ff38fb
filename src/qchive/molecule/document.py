"""From what a client sent to what the server keeps: the molecule checked, completed, without defaults, as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from qchive._version import __version__
from qchive.errors import InvalidMolecule
from qchive.molecule import sense
from qchive.molecule.body import Body, Identifiers, read, read_geometry
from qchive.molecule.elements import ELEMENTS
from qchive.molecule.identity import MASS_DIGITS, formula, frame, identity, moved, rounded

DEPTH = 64
"""How deep `extras` and `provenance` may be nested."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Stored(msgspec.Struct, frozen=True):
    """A molecule as the server keeps it. `document` is compact JSON without the id; `with_id` adds it."""

    hash: str
    formula: str
    name: str
    comment: str | None
    identifiers: dict[str, str]
    document: bytes


def stored(data: Mapping[str, Any]) -> Stored:
    """What to store of a molecule from a decoded request body; InvalidMolecule where it makes no sense."""
    return _stored(to_wire(data))


class Path:
    """Molecules of which each is mostly the one before at another geometry, like the steps of an optimization: then
    only the geometry is checked again."""

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        self._body: Body | None = None
        self._wire: dict[str, Any] = {}
        self._frame = ("", "")
        self._last: tuple[Any, Stored] | None = None

    def stored(self, data: Mapping[str, Any]) -> Stored:
        """What `stored` makes of the next molecule."""
        given = {key: value for key, value in data.items() if key != "geometry"}
        if self._body is None or given != self._given or data.get("validated") is not True:
            body = read(data)
            wire = _checked(body)
            self._given, self._body, self._wire, self._frame = given, body, wire, frame(wire)
            done = _stored(wire)
        elif self._last is not None and self._last[0] == data.get("geometry"):
            return self._last[1]
        else:
            done = _stored(self._moved(self._body, data))
        self._last = data.get("geometry"), done
        return done

    def _moved(self, body: Body, data: Mapping[str, Any]) -> dict[str, Any]:
        geometry = read_geometry(data)
        body = msgspec.structs.replace(body, geometry=geometry)
        sense.check_shape(body)
        sense.check_distances(body)
        identifiers = self._wire["identifiers"] | {"molecule_hash": moved(self._frame, geometry)}
        return self._wire | {"geometry": geometry, "identifiers": identifiers}


def to_wire(data: Mapping[str, Any]) -> dict[str, Any]:
    """The molecule as the server sends it, without its id: checked, completed, defaults dropped, hash and formula set.

    What is `validated` is kept as it is, letter case of the symbols and decimals of the geometry (Bohr) included;
    anything else is completed by qcelemental first. Raises InvalidMolecule.
    Source: the QCArchive protocol's molecule, QCSchema version 2.
    """
    return _checked(read(data))


def _checked(body: Body) -> dict[str, Any]:
    sense.check_shape(body)
    protons = sense.check_atoms(body)
    sense.check_distances(body)
    sense.check_bonds(body)
    sense.check_fragments(body)
    if not body.validated:
        sense.check_electrons(body, protons)
        from qchive.molecule.complete import complete  # loads numpy and qcelemental

        body = complete(body, protons)
    body.molecular_charge = float(body.molecular_charge or 0.0)
    body.molecular_multiplicity = float(body.molecular_multiplicity or 1.0)
    sense.check_complete(body)
    sense.check_electrons(body, protons)
    return _document(body)


def with_id(document: bytes, molecule_id: int) -> bytes:
    """The stored document with the id it has on this server."""
    return b'%b,"id":%d}' % (document[:-1], molecule_id)


def modified(
    document: bytes,
    *,
    name: str | None = None,
    comment: str | None = None,
    identifiers: Mapping[str, Any] | None = None,
    overwrite_identifiers: bool = False,
) -> Stored:
    """A stored molecule with another name, comment or identifiers; None keeps what is there.

    Identifiers are merged, or all replaced if `overwrite_identifiers`; hash and formula stay those of the molecule.
    Raises InvalidMolecule for identifiers that are none.
    """
    molecule: dict[str, Any] = msgspec.json.decode(document)
    if name is not None:
        molecule["name"] = name
    if comment is not None:
        molecule["comment"] = comment
    if identifiers is not None:
        try:
            given = msgspec.convert(identifiers, Identifiers).given()
        except msgspec.ValidationError as error:
            raise InvalidMolecule(f"not the identifiers of a molecule: {error}") from error
        old = molecule["identifiers"]
        fixed = {key: old[key] for key in ("molecule_hash", "molecular_formula")}
        molecule["identifiers"] = (given if overwrite_identifiers else old | given) | fixed
    return _stored(molecule)


def _stored(molecule: dict[str, Any]) -> Stored:
    identifiers = molecule["identifiers"]
    return Stored(
        hash=identifiers["molecule_hash"],
        formula=identifiers["molecular_formula"],
        name=molecule["name"],
        comment=molecule.get("comment"),
        identifiers=identifiers,
        document=_encode(molecule),
    )


def _encode(molecule: dict[str, Any]) -> bytes:
    try:
        document = msgspec.json.encode(molecule)
    except (UnicodeEncodeError, TypeError) as error:
        raise InvalidMolecule(f"the molecule holds text or values that JSON cannot carry: {error}") from error
    if b"\\u0000" in document and _NUL.search(document):
        raise InvalidMolecule("the molecule holds text with a NUL character: remove it")
    return document


def _document(body: Body) -> dict[str, Any]:
    """The keys in the order of the protocol's table; those that say nothing beyond the default are left out."""
    provenance = body.provenance or {"creator": "QCHive", "version": __version__, "routine": "qchive.molecule"}
    if not isinstance(provenance.get("creator"), str):
        raise InvalidMolecule("`provenance` lacks its `creator`: name the program that made the molecule")
    written = formula(body.symbols)
    molecule: dict[str, Any] = {
        "schema_name": "qcschema_molecule",
        "schema_version": 2,
        "validated": True,
        "symbols": body.symbols,
        "geometry": body.geometry,
        "name": body.name or written,
        "identifiers": body.identifiers.given() if body.identifiers else {},
        "molecular_charge": body.molecular_charge,
        "molecular_multiplicity": body.molecular_multiplicity,
        **_optional(body),
        "fix_com": True,
        "fix_orientation": True,
        "provenance": _plain(provenance, "provenance"),
        "extras": _plain(body.extras or {}, "extras"),
    }
    molecule["identifiers"] |= {"molecule_hash": identity(molecule), "molecular_formula": written}
    return molecule


def _optional(body: Body) -> dict[str, Any]:
    keys: dict[str, Any] = {"comment": body.comment, "fix_symmetry": body.fix_symmetry}
    if body.connectivity is not None:
        keys["connectivity"] = [list(bond) for bond in body.connectivity]
    if not _default_isotopes(body):
        keys |= {"masses": body.masses, "mass_numbers": body.mass_numbers}
    if body.real is not None and not all(body.real):
        keys["real"] = body.real
    if body.atom_labels is not None and any(body.atom_labels):
        keys["atom_labels"] = body.atom_labels
    if not _one_fragment(body):
        keys["fragments"] = body.fragments
        keys["fragment_charges"] = body.fragment_charges
        keys["fragment_multiplicities"] = [
            m if m is None else float(m) for m in body.fragment_multiplicities or ()
        ] or None
    return {key: value for key, value in keys.items() if value is not None}


def _default_isotopes(body: Body) -> bool:
    """Whether masses and mass numbers are those the symbols imply, to the decimals that the hash looks at."""
    atoms = [ELEMENTS[symbol.capitalize()] for symbol in body.symbols] if body.masses or body.mass_numbers else []
    if body.mass_numbers is not None and body.mass_numbers != [atom.a for atom in atoms]:
        return False
    if body.masses is None:
        return True
    given = [mass for mass in body.masses if mass is not None]
    return rounded(given, MASS_DIGITS) == rounded([atom.mass for atom in atoms], MASS_DIGITS)


def _one_fragment(body: Body) -> bool:
    """Whether the fragments are what a molecule without fragments means."""
    return (
        body.fragments in (None, [list(range(len(body.symbols)))])
        and body.fragment_charges in (None, [body.molecular_charge])
        and body.fragment_multiplicities in (None, [body.molecular_multiplicity])
    )


def _plain(value: Any, where: str, depth: int = 0) -> Any:
    """Free data as JSON can carry it, bytes in the protocol's tagged form; InvalidMolecule for NaN and the like."""
    if depth > DEPTH:
        raise InvalidMolecule(f"`{where}` is nested deeper than {DEPTH} levels")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InvalidMolecule(f"`{where}` has keys that are no text")
        return {key: _plain(item, where, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where, depth + 1) for item in value]
    if isinstance(value, float) and not isfinite(value):
        raise InvalidMolecule(f"`{where}` holds {value}, which JSON cannot carry: write null or text")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise InvalidMolecule(f"`{where}` holds {value}, which MessagePack cannot carry: write text")
    if isinstance(value, bytes):
        return {"_bytes_base64_": msgspec.to_builtins(value)}
    return value
