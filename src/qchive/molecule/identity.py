"""Which molecule it is: the hash that the QCArchive protocol knows it by, and its formula.

The hash must be equal to qcelemental's `Molecule.get_hash` to the last bit, because clients compute it too. It is the
SHA-1 of ten pieces of JSON text, each rounded in its own way. Everything here is plain Python on plain lists: for a
molecule of ordinary size that is faster than numpy, and the server starts without it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qchive.errors import InvalidMolecule
from qchive.molecule.elements import ELEMENTS, Element

GEOMETRY_DIGITS = 8
MASS_DIGITS = 6
CHARGE_DIGITS = 4


def element(symbol: str) -> Element:
    """The element of a symbol in any letter case; InvalidMolecule if there is none."""
    found = ELEMENTS.get(symbol) or ELEMENTS.get(symbol.capitalize())
    if found is None:
        raise InvalidMolecule(
            f"{symbol!r} is not the symbol of an element; isotopes are named by `mass_numbers`, ghost atoms by `real`"
        )
    return found


def rounded(values: Iterable[float], digits: int) -> list[float]:
    """Round as qcelemental rounds arrays: numpy's scale, round half to even, unscale; tiny numbers become 0.0.

    The threshold of "tiny" is 5 to the power of -(digits + 1), not half a unit of the last digit. It is what the
    hashes of all molecules in all archives were made with.
    """
    scale = 10.0**digits
    tiny = 5 ** -(digits + 1)
    result = []
    for value in values:
        near = round(value * scale) / scale
        result.append(0.0 if -tiny < near < tiny else near)
    return result


_MASS_TEXT = {symbol: repr(rounded([it.mass], MASS_DIGITS)[0]) for symbol, it in ELEMENTS.items()}


def identity(molecule: Mapping[str, Any]) -> str:
    """The 40 hexadecimal digits by which a molecule is known: atoms, geometry (Bohr), charge, spin, fragments, bonds.

    Name, comment, identifiers, labels and extras do not count; order of atoms and orientation do. Expects a molecule
    that makes sense (see `to_wire`).
    Source: qcelemental 0.51, `Molecule.get_hash`.
    """
    return moved(frame(molecule), molecule["geometry"])


def frame(molecule: Mapping[str, Any]) -> tuple[str, str]:
    """All that the hash looks at but the geometry: what comes before it, and what comes behind."""
    symbols = molecule["symbols"]
    charge = float(molecule.get("molecular_charge", 0.0))
    multiplicity = _int_if_integral(molecule.get("molecular_multiplicity", 1))
    fragment_charges = molecule.get("fragment_charges")
    fragment_multiplicities = molecule.get("fragment_multiplicities")
    before = (
        _text(f'"{symbol}"' for symbol in symbols),
        _masses(symbols, molecule.get("masses")),
        # The only decimal rounding: scalars are rounded by Python, arrays by numpy. Adding 0.0 turns -0.0 into 0.0.
        repr(round(charge, CHARGE_DIGITS) + 0.0),
        repr(multiplicity if isinstance(multiplicity, int) else round(multiplicity, CHARGE_DIGITS)),
        _real(len(symbols), molecule.get("real")),
    )
    behind = (
        repr(_fragments(len(symbols), molecule.get("fragments"))),
        repr(rounded([charge] if fragment_charges is None else fragment_charges, CHARGE_DIGITS)),
        _multiplicities([multiplicity] if fragment_multiplicities is None else fragment_multiplicities),
        _connectivity(molecule.get("connectivity")),
    )
    return "".join(before), "".join(behind)


def moved(frame: tuple[str, str], geometry: Sequence[float]) -> str:
    """The hash of a molecule with this frame at another geometry (Bohr)."""
    text = _text(map(repr, rounded(geometry, GEOMETRY_DIGITS)))
    return hashlib.sha1(f"{frame[0]}{text}{frame[1]}".encode(), usedforsecurity=False).hexdigest()


def formula(symbols: Sequence[str]) -> str:
    """The molecular formula, elements in alphabetical order, ghost atoms included: ClH, CH4, H2O."""
    counts = Counter(symbols)
    if not counts.keys() <= ELEMENTS.keys():
        counts = Counter(symbol.capitalize() for symbol in symbols)
    return _written(counts)


def parse_formula(text: str) -> str:
    """A formula as somebody typed it, in the order `formula` writes: OH2 → H2O. What is none (h2) stays as it is."""
    parts = re.findall(r"([A-Z][^A-Z0-9]*)([0-9]*)", text)
    if "".join(symbol + n for symbol, n in parts) != text:
        return text
    counts: Counter[str] = Counter()
    for symbol, n in parts:
        counts[symbol] += int(n) if n else 1
    return _written(counts)


def _written(counts: Counter[str]) -> str:
    return "".join(symbol if n == 1 else f"{symbol}{n}" for symbol, n in sorted(counts.items()))


def _text(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _int_if_integral(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _masses(symbols: Sequence[str], masses: Sequence[float] | None) -> str:
    if masses is not None:
        return _text(map(repr, rounded(masses, MASS_DIGITS)))
    try:
        return _text([_MASS_TEXT[symbol] for symbol in symbols])
    except KeyError:
        return _text(map(repr, rounded([element(symbol).mass for symbol in symbols], MASS_DIGITS)))


def _real(nat: int, real: Sequence[bool] | None) -> str:
    return _text(["true"] * nat if real is None else ["true" if it else "false" for it in real])


def _fragments(nat: int, fragments: Sequence[Sequence[int]] | None) -> list[list[int]]:
    return [list(range(nat))] if fragments is None else [list(fragment) for fragment in fragments]


def _multiplicities(values: Sequence[float]) -> str:
    whole = [_int_if_integral(value) for value in values]
    # One fractional multiplicity makes numpy turn all of them into floats.
    return repr(whole if all(isinstance(value, int) for value in whole) else rounded(whole, CHARGE_DIGITS))


def _connectivity(bonds: Sequence[tuple[int, int, float]] | None) -> str:
    return json.dumps(None if bonds is None else [[i, j, float(order)] for i, j, order in bonds])
