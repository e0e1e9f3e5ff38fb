"""Molecules that nobody has validated yet, and molecules as text, made complete by qcelemental's parsers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from qcelemental.exceptions import MoleculeFormatError, NotAnElementError, ValidationError
from qcelemental.molparse import from_arrays, from_schema, from_string, to_schema

from qchive.errors import InvalidMolecule
from qchive.molecule.body import Body
from qchive.molecule.identity import GEOMETRY_DIGITS, rounded
from qchive.molecule.sense import nuclear_charges

GUESSES = 20_000
"""qcelemental tries all combinations of charges and spins that fragments could have. More than these are not tried."""

_REFUSALS = (ValidationError, NotAnElementError)
_TAKEN = (
    "symbols", "masses", "mass_numbers", "real", "atom_labels", "connectivity", "fragments", "fragment_charges",
    "fragment_multiplicities", "molecular_charge", "molecular_multiplicity", "fix_symmetry",
)  # fmt: skip
_PUBCHEM = re.compile(r"^pubchem\s*:", re.IGNORECASE | re.MULTILINE)
_ATOM = re.compile(r"[^\s,]+(?:[\s,]+[-+]?[\d.]+(?:[DdEe][-+]?\d+)?){3}")
_ATOM_COUNT = re.compile(r"\s*(\d+)[ \t,]*(?:bohr|au|ang)?[ \t]*(?:\r?\n|$)", re.IGNORECASE)
_CHARGE_AND_SPIN = re.compile(r"[-+]?\d+(?:\.0*)?[\s,]+[1-9]\d*")


def complete(body: Body, protons: list[int]) -> Body:
    """The same molecule with symbols in title case, isotopes, charges and multiplicities filled in, 8 decimals (Bohr).

    Raises InvalidMolecule where that is impossible.
    """
    charges, spins = body.fragment_charges or [], body.fragment_multiplicities or []
    if body.fragments and _too_many_guesses(
        body.molecular_charge,
        body.molecular_multiplicity,
        charges or [None] * len(body.fragments),
        spins or [None] * len(body.fragments),
    ):
        _settle(body, protons)
    given = {key: getattr(body, key) for key in _TAKEN}
    given |= {"schema_name": "qcschema_molecule", "schema_version": 2, "geometry": body.geometry}
    try:
        record = from_schema(given, verbose=-1)
    except _REFUSALS as error:
        raise InvalidMolecule(f"qcelemental refuses the molecule: {_reason(error)}") from error
    made: dict[str, Any] = to_schema(record, dtype=2, np_out=False)
    for key in (*_TAKEN, "provenance"):
        setattr(body, key, made.get(key))
    body.geometry = rounded(body.geometry, GEOMETRY_DIGITS)
    return body


def from_text(text: str, *, charge_in_comment: bool = False) -> dict[str, Any]:
    """A molecule as text, XYZ or Psi4's dialects (Ångström unless the text says otherwise), as a validated molecule.

    With `charge_in_comment`, a second line of an XYZ file that is two whole numbers and nothing else is charge and
    multiplicity, as in what qcelemental calls xyz+. Raises InvalidMolecule.
    """
    # Long runs of white space would take qcelemental's regular expressions for ever.
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in text.splitlines()))
    if _PUBCHEM.search(text):
        raise InvalidMolecule("it asks for a molecule of PubChem, which is not looked up here: give the geometry")
    stated = charge_in_comment and _states_charge(text)
    try:
        dtype = "xyz+" if stated else None
        others, raw = from_string(text, dtype, enable_qm=False, return_processed=True, verbose=-1)
        if others or not raw.get("geom"):
            raise InvalidMolecule(
                "it is not one molecule with Cartesian coordinates; one for each file, and no z-matrices or EFP"
            )
        if _too_many_guesses(
            raw.get("molecular_charge"),
            raw.get("molecular_multiplicity"),
            raw.get("fragment_charges", ()),
            raw.get("fragment_multiplicities", ()),
        ):
            raise InvalidMolecule("it has many fragments: give charge and multiplicity of each")
        efp = ("fragment_files", "hint_types", "geom_hints")
        record = from_arrays(**{k: v for k, v in raw.items() if k not in efp}, speclabel=True, verbose=-1)
    except MoleculeFormatError as error:
        raise InvalidMolecule(
            f"it is not one molecule in XYZ or Psi4 format; the first line that looks wrong is {_odd_line(text)[:80]!r}"
        ) from error
    except _REFUSALS as error:
        read = "with the second line as charge and multiplicity (--charge overrides it): " if stated else ""
        raise InvalidMolecule(f"{read}{_reason(error)}") from error
    made: dict[str, Any] = to_schema(record, dtype=2, np_out=False)
    made["geometry"] = rounded(made["geometry"], GEOMETRY_DIGITS)
    made["provenance"]["routine"] = "qcelemental.molparse.from_string"
    _check_count(text, len(made["symbols"]))
    return made


def _states_charge(text: str) -> bool:
    """Whether this is an XYZ file whose second line consists of a charge and a multiplicity."""
    lines = text.strip().splitlines()
    return len(lines) > 2 and bool(_ATOM_COUNT.fullmatch(lines[0]) and _CHARGE_AND_SPIN.fullmatch(lines[1]))


def _check_count(text: str, nat: int) -> None:
    """Refuse an XYZ file that was cut off, which qcelemental reads as far as it goes."""
    count = _ATOM_COUNT.match(text)
    if count and int(count[1]) != nat:
        raise InvalidMolecule(f"the first line promises {count[1]} atoms, but there are {nat}")


def _reason(error: Exception) -> str:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
    return f"{first} is not an element" if isinstance(error, NotAnElementError) else first


def _odd_line(text: str) -> str:
    """The first line that an XYZ file would not have there; qcelemental says what is left over, not where it failed."""
    lines = text.splitlines()
    start = 2 if _ATOM_COUNT.match(text) else 0
    return next((line for line in lines[start:] if line and not _ATOM.fullmatch(line)), lines[0])


def _too_many_guesses(
    charge: float | None, spin: float | None, charges: Sequence[float | None], spins: Sequence[float | None]
) -> bool:
    known = sum(c for c in charges if c is not None)
    of_charge = 1 if charge in (None, known) else 2
    of_spin = 2.0 if spin is None else spin + 2.0
    tries: float = of_charge ** sum(c is None for c in charges) * of_spin ** sum(m is None for m in spins)
    return tries > GUESSES


def _settle(body: Body, protons: list[int]) -> None:
    """Fill in neutral fragments of lowest spin, which is what trying would find; refuse where more is asked."""
    fragments = body.fragments or []
    nuclei = nuclear_charges(body, protons)
    charges = body.fragment_charges or [None] * len(fragments)
    if None in charges:
        if body.molecular_charge not in (None, sum(charge or 0.0 for charge in charges)):
            raise InvalidMolecule(f"give `fragment_charges`: which of {len(fragments)} is charged is not guessed")
        charges = [charge or 0.0 for charge in charges]
    spins = body.fragment_multiplicities or [None] * len(fragments)
    if None in spins:
        electrons = [
            sum(nuclei[i] for i in fragment) - (c or 0.0) for fragment, c in zip(fragments, charges, strict=True)
        ]
        spins = [1.0 + n % 2 if m is None else m for n, m in zip(electrons, spins, strict=True)]
        if body.molecular_multiplicity not in (None, 1.0 + sum(m - 1.0 for m in spins if m is not None)):
            raise InvalidMolecule(
                f"give `fragment_multiplicities`: which of {len(fragments)} has unpaired electrons is not guessed"
            )
    body.fragment_charges, body.fragment_multiplicities = charges, spins
