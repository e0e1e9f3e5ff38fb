"""Formal charges from bonds: QCSchema states bond orders and the total charge, RDKit wants to know where it sits.

An atom with formal charge q binds like the neutral atom with as many electrons, q places to the left in the periodic
table: N+ like C, O- like F. Of all assignments that add up to the total charge, the one with the least charges, each
where it is likely, is taken; rings given with bond orders of 1.5 may have their double bonds anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qcengine.exceptions import InputError

_ANY = -1
"""RDKit's mark for elements, mostly metals, that bind as many as they like."""
_MOST_NEGATIVE, _MOST_POSITIVE, _MOST_RADICAL = -3, 6, 3

_State = tuple[int, int]
"""Charge and unpaired electrons, of one atom or of the atoms so far."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The cheapest way to a state: what it cost, the state before, and what the last atom was given."""

    cost: float
    before: _State
    choice: _State


def assign(molecule: Any, charge: int, unpaired: int) -> None:
    """Set formal charges and radicals of an RDKit molecule with all its atoms and bonds; those it has already stay.

    Raises InputError if these bonds and the total charge do not fit together.
    """
    table: list[dict[_State, _Step]] = [{(0, 0): _Step(0.0, (0, 0), (0, 0))}]
    for atom in molecule.GetAtoms():
        table.append(_extended(table[-1], _choices(atom, charge, unpaired), unpaired))
        if not table[-1]:
            raise InputError(
                f"no formal charges can be found: {atom.GetSymbol()} (atom {atom.GetIdx()}) has bonds of order "
                f"{_order(atom):g} in total, which it cannot have; give all bonds of the molecule, with their orders"
            )
    fitting = [(step.cost, state) for state, step in table[-1].items() if state[0] == charge]
    if not fitting:
        raise InputError(
            f"no formal charges can be found that go with these bonds and add up to {charge:+d}; check the total "
            "charge, and give all bonds of the molecule, with their orders"
        )
    state = min(fitting)[1]
    for atom, steps in zip(reversed(molecule.GetAtoms()), reversed(table), strict=False):
        (formal, radical), state = steps[state].choice, steps[state].before
        atom.SetFormalCharge(formal)
        atom.SetNumRadicalElectrons(radical)


def _extended(so_far: dict[_State, _Step], choices: dict[_State, float], unpaired: int) -> dict[_State, _Step]:
    """The states that one more atom leads to."""
    reached: dict[_State, _Step] = {}
    for before, step in so_far.items():
        for (formal, radical), price in choices.items():
            state = before[0] + formal, before[1] + radical
            cost = step.cost + price
            if state[1] <= unpaired and (state not in reached or cost < reached[state].cost):
                reached[state] = _Step(cost, before, (formal, radical))
    return reached


def _choices(atom: Any, charge: int, unpaired: int) -> dict[_State, float]:
    """Formal charges and unpaired electrons that an atom with these bonds can have, and the price of each."""
    if atom.GetFormalCharge():
        return {(atom.GetFormalCharge(), 0): 0.0}
    if atom.GetOwningMol().GetNumAtoms() == 1:
        return {(charge, unpaired): 0.0}
    return {
        (formal, radical): _price(atom.GetAtomicNum(), formal, radical)
        for formal in range(_MOST_NEGATIVE, _MOST_POSITIVE + 1)
        for radical in range(min(unpaired, _MOST_RADICAL) + 1)
        if any(_fits(atom.GetAtomicNum(), order, formal, radical) for order in _orders(atom))
    }


def _fits(number: int, order: int, formal: int, radical: int) -> bool:
    """Whether an atom of this element with bonds of this order in total can have that charge and those radicals."""
    from rdkit import Chem

    table = Chem.GetPeriodicTable()
    if _ANY in table.GetValenceList(number) and radical == 0 and formal >= 0:
        return True
    alike = number - formal
    if alike < 1 or order + radical not in table.GetValenceList(alike):
        return False
    same_row = table.GetRow(alike) == table.GetRow(number)
    return bool(same_row or (alike < number and order + radical == 0))


def _price(number: int, formal: int, radical: int) -> float:
    """Less for small charges where they like to be: positive on the left, negative on the right, no open octets."""
    from rdkit import Chem

    electrons = Chem.GetPeriodicTable().GetNOuterElecs(number)
    if formal == 0:
        return radical / 8
    dislike = electrons if formal > 0 else 8 - electrons
    open_octet = 0.5 if 0 < electrons - formal < 4 else 0.0
    return float(formal**2 + dislike / 64 + open_octet + radical / 8)


def _order(atom: Any) -> float:
    return float(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))


def _orders(atom: Any) -> tuple[int, ...]:
    """The total order of its bonds; of an aromatic atom, without and with a double bond in the ring."""
    if not atom.GetIsAromatic():
        return (round(_order(atom)),)
    single = round(sum(1 if bond.GetIsAromatic() else bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))
    return (single, single + 1)
