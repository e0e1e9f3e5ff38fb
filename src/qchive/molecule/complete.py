"""Molecules that nobody has validated yet, completed by qcelemental as its own Molecule class would."""

from __future__ import annotations

from typing import Any

from qcelemental.exceptions import NotAnElementError, ValidationError
from qcelemental.molparse import from_schema, to_schema

from qchive.errors import InvalidMolecule
from qchive.molecule.body import Body
from qchive.molecule.identity import GEOMETRY_DIGITS, rounded
from qchive.molecule.sense import nuclear_charges

FRAGMENTS_TO_GUESS = 8
"""Beyond so many, qcelemental's search for charges and multiplicities, exponential in their number, is not begun."""

_TAKEN = (
    "symbols", "masses", "mass_numbers", "real", "atom_labels", "connectivity", "fragments", "fragment_charges",
    "fragment_multiplicities", "molecular_charge", "molecular_multiplicity", "fix_symmetry", "provenance",
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


def _settle(body: Body, protons: list[int]) -> None:
    """Fill in neutral fragments of lowest spin, which is what the search would find; refuse where more is asked."""
    fragments = body.fragments or []
    nuclei = nuclear_charges(body, protons)
    charges = body.fragment_charges or [None] * len(fragments)
    if None in charges:
        if body.molecular_charge not in (None, sum(charge or 0.0 for charge in charges)):
            raise InvalidMolecule(
                f"give `fragment_charges`: who of {len(fragments)} fragments is charged is not guessed"
            )
        charges = [charge or 0.0 for charge in charges]
    spins = body.fragment_multiplicities or [None] * len(fragments)
    if None in spins:
        electrons = [
            sum(nuclei[i] for i in fragment) - (c or 0.0) for fragment, c in zip(fragments, charges, strict=True)
        ]
        spins = [1.0 + n % 2 if m is None else m for n, m in zip(electrons, spins, strict=True)]
        if body.molecular_multiplicity not in (None, 1.0 + sum(m - 1.0 for m in spins if m is not None)):
            raise InvalidMolecule(
                f"give `fragment_multiplicities`: where the spin of {len(fragments)} fragments is, is not guessed"
            )
    body.fragment_charges, body.fragment_multiplicities = charges, spins
