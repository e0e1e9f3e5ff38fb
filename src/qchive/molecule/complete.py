"""Molecules that nobody has validated yet, completed by qcelemental as its own Molecule class would."""

from __future__ import annotations

from typing import Any

from qcelemental.exceptions import NotAnElementError, ValidationError
from qcelemental.molparse import from_schema, to_schema

from qchive.errors import InvalidMolecule
from qchive.molecule.body import Body
from qchive.molecule.identity import GEOMETRY_DIGITS, rounded

FRAGMENTS_TO_GUESS = 8
"""Beyond so many, qcelemental's search for charges and multiplicities, exponential in their number, is not begun."""

_TAKEN = (
    "symbols", "masses", "mass_numbers", "real", "atom_labels", "connectivity", "fragments", "fragment_charges",
    "fragment_multiplicities", "molecular_charge", "molecular_multiplicity", "provenance",
)  # fmt: skip


def complete(body: Body, protons: list[int]) -> Body:
    """The same molecule with symbols in title case, isotopes, charges and multiplicities filled in, 8 decimals (Bohr).

    Raises InvalidMolecule where that is impossible.
    """
    if body.fragments and len(body.fragments) > FRAGMENTS_TO_GUESS:
        _settle(body, protons)
    given = {
        "schema_name": "qcschema_molecule",
        "schema_version": 2,
        **{key: getattr(body, key) for key in _TAKEN if key != "provenance"},
        "geometry": body.geometry,
    }
    try:
        record = from_schema(given, verbose=-1)
    except (ValidationError, NotAnElementError) as error:
        raise InvalidMolecule(f"qcelemental refuses the molecule: {str(error).splitlines()[0]}") from error
    made: dict[str, Any] = to_schema(record, dtype=2, np_out=False)
    for key in _TAKEN:
        setattr(body, key, made.get(key))
    body.geometry = rounded(body.geometry, GEOMETRY_DIGITS)
    body.molecular_multiplicity = float(made["molecular_multiplicity"])
    return body
