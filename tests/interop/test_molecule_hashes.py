"""The peer's Molecule class and ours agree on what a molecule is."""

from __future__ import annotations

import pytest
from qcportal.molecules import Molecule

from qchive.molecule import from_qcelemental, stored, to_qcelemental


@pytest.mark.parametrize(
    "text",
    [
        "He 0 0 0",
        "2\n\nH 0 0 0\nH 0 0 0.74",
        "-1 1\nO 0 0 0\n@H 0 0 1\n2H 0 1 0\n--\n1 1\nNa 0 0 6",
        "-1 2\nO 0 0 0.00000001\nO 0 0 1.3",
    ],
)
def test_the_peers_molecules_are_stored_under_their_own_hash_and_formula(text: str) -> None:
    theirs = Molecule.from_data(text, extras={"a": 1})
    kept = stored(from_qcelemental(theirs))
    assert kept.hash == theirs.get_hash()
    assert kept.formula == theirs.get_molecular_formula()
    assert to_qcelemental(from_qcelemental(theirs)).get_hash() == theirs.get_hash()
