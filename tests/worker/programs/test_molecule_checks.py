"""Which molecules are possible."""

from __future__ import annotations

import pytest
from qcelemental.models.v2 import Molecule
from qcengine.exceptions import InputError

from qchive.worker.programs.molecule_checks import check_electrons, check_geometry
from tests.worker.programs.inputs import atom

HYDROGEN = Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, 1.4])


@pytest.mark.parametrize(
    ("charge", "multiplicity", "answer"), [(0, 1, (0, 0)), (0, 3, (0, 2)), (1, 2, (1, 1)), (-1, 2, (-1, 1))]
)
def test_possible_states_of_hydrogen(charge: int, multiplicity: int, answer: tuple[int, int]) -> None:
    molecule = HYDROGEN.model_copy(update={"molecular_charge": charge, "molecular_multiplicity": multiplicity})
    assert check_electrons(molecule) == answer


def test_a_single_atom_may_lose_all_but_one_electron() -> None:
    assert check_electrons(atom("C", molecular_charge=5, molecular_multiplicity=2)) == (5, 1)
    with pytest.raises(InputError, match="no electrons"):
        check_electrons(atom("H", molecular_charge=1))


@pytest.mark.parametrize(("symbol", "charge"), [("Fe", 3), ("O", -2), ("Ce", 4), ("Cs", -1)])
def test_usual_ions_are_possible(symbol: str, charge: int) -> None:
    ion = atom(symbol, molecular_charge=charge)
    assert check_electrons(ion)[0] == charge


def test_ghosts_may_come_near_but_not_onto_an_atom() -> None:
    check_geometry(Molecule(symbols=["He", "He"], geometry=[0, 0, 0, 0, 0, 0.5], real=[True, False], validate=False))
    with pytest.raises(InputError, match="overlap"):
        check_geometry(HYDROGEN.model_copy(update={"geometry": HYDROGEN.geometry * 0.01}))
