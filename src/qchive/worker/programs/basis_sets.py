"""Basis sets with their effective core potentials, by name, in PySCF's form.

The Basis Set Exchange says what PySCF's own files do not: which potential belongs to the basis, and whether its
functions are Cartesian or spherical. So PySCF's library is not asked: functions made for a potential would run without
it, and a name that is a path would be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from qcengine.exceptions import InputError

# A basis that holds the 1s electrons needs an s exponent of about Z² (0.6 Z² in STO-2G, 1.6 Z² in STO-3G): in the whole
# Basis Set Exchange only sets for pseudopotentials that do not come with them stay below half of it.
_TIGHTEST = 0.5
# The def2 sets have potentials beyond krypton; the Exchange lists def2-mTZVP and def2-mTZVPP without.
_DEF2_ALL_ELECTRON = 36


@dataclass(frozen=True)
class Basis:
    """Functions and potentials of some elements, keyed by symbol."""

    name: str
    source: str
    shells: dict[str, list[Any]] = field(default_factory=dict)
    potentials: dict[str, list[Any]] = field(default_factory=dict)
    """PySCF's form: [electrons replaced, terms]."""
    cartesian: bool | None = False
    """None: the elements asked for disagree."""
    auxiliary: str = "def2-universal-jkfit"
    """The set for fitting Coulomb and exchange that goes with it; that of def2 serves others well (0.1 mHartree)."""


def load(name: str, symbols: frozenset[str]) -> Basis:
    """The basis of that name for the elements; InputError if it is unknown or lacks one of them.

    Raises InputError also where the basis was made for a potential that it does not bring along.
    """
    basis = load_auxiliary(name, symbols)
    for symbol in symbols:
        _refuse_missing_potential(basis, symbol)
    return basis


def load_auxiliary(name: str, symbols: frozenset[str]) -> Basis:
    """A set for density fitting, which needs to hold no electrons; InputError if unknown or lacking an element."""
    squeezed = _squeezed(name)
    known = _names().get(squeezed) or _names().get(squeezed.replace("(d,p)", "**").replace("(d)", "*"))
    if known is None:
        raise InputError(f"unknown basis set {name}: the Basis Set Exchange has none of that name")
    return _from_exchange(known, symbols)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Squeezed name -> name in the Exchange, so that def2svp and def2_SVP are found like def2-SVP."""
    import basis_set_exchange

    return {_squeezed(name): name for name in basis_set_exchange.get_all_basis_names()}


def _squeezed(name: str) -> str:
    return "".join(c for c in name.lower() if c not in "-_ ")


@lru_cache(maxsize=256)
def _from_exchange(name: str, symbols: frozenset[str]) -> Basis:
    import basis_set_exchange
    from pyscf.gto.basis import bse

    offered = _elements(name)
    if missing := symbols - offered:
        raise InputError(f"basis set {name} has no functions for {', '.join(sorted(missing))}")
    data = basis_set_exchange.get_basis(name, elements=sorted(symbols))
    return Basis(
        name=str(data["name"]),
        source=f"Basis Set Exchange {basis_set_exchange.version()}, version {data['version']} of the set",
        shells=bse._orbital_basis(data)[0],
        potentials=bse._ecp_basis(data),
        cartesian=_cartesian(data),
        auxiliary=data["auxiliaries"].get("jkfit", Basis.auxiliary),
    )


@lru_cache(maxsize=64)
def _elements(name: str) -> frozenset[str]:
    """The elements for which a set has functions, not only a potential."""
    import basis_set_exchange
    from basis_set_exchange.lut import element_sym_from_Z

    elements = basis_set_exchange.get_basis(name)["elements"]
    return frozenset(str(element_sym_from_Z(z, True)) for z, data in elements.items() if "electron_shells" in data)


def _cartesian(data: dict[str, Any]) -> bool | None:
    """What the Exchange says of the d and higher functions of these elements; None if it says both."""
    stated = {
        shell["function_type"]
        for element in data["elements"].values()
        for shell in element["electron_shells"]
        if max(shell["angular_momentum"]) > 1
    }
    if {"gto_cartesian", "gto_spherical"} <= stated:
        return None
    return "gto_cartesian" in stated


def _refuse_missing_potential(basis: Basis, symbol: str) -> None:
    """InputError if the functions are made for a potential that is not there: the energy would be a wrong number."""
    from pyscf.data.elements import charge

    if symbol in basis.potentials:
        return
    number = int(charge(symbol))
    exponents = [
        row[0] for shell in basis.shells[symbol] if shell[0] == 0 for row in shell[1:] if isinstance(row, list)
    ]
    def2 = basis.name.lower().startswith("def2") and number > _DEF2_ALL_ELECTRON
    if def2 or max(exponents, default=0.0) < _TIGHTEST * number**2:
        raise InputError(
            f"basis set {basis.name} is made for an effective core potential on {symbol}, which does not come with it "
            f"({basis.source}); the energy would be meaningless"
        )
