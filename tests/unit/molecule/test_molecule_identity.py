"""The hash and the formula, against qcelemental's own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import pytest
import qcelemental
from hypothesis import given
from hypothesis import strategies as st
from molecule_strategies import molecules
from qcelemental.models import Molecule
from qcelemental.models.v2 import Molecule as Molecule2
from qcelemental.molutil import order_molecular_formula

from qchive.errors import InvalidMolecule
from qchive.molecule import formula, from_qcelemental, identity, parse_formula, stored, to_wire
from qchive.molecule.elements import ELEMENTS
from qchive.molecule.identity import rounded

HE = "b3855c64e9f61158f5e449e2df7b79bf1fa599d7"
H2 = "aadfb7776616f9506f29599eb2219019003275d6"


def test_helium_and_hydrogen_have_the_hashes_every_archive_knows_them_by() -> None:
    assert identity({"symbols": ["He"], "geometry": [0, 0, 0]}) == HE
    assert identity({"symbols": ["H", "H"], "geometry": [0.0, 0.0, 0.0, 0.0, 0.0, 1.4]}) == H2


def test_the_hashed_text_is_the_one_the_protocol_describes() -> None:
    text = '["H", "H"][1.007825, 1.007825]0.01[true, true][0.0, 0.0, 0.0, 0.0, 0.0, 1.4][[0, 1]][0.0][1]null'
    assert hashlib.sha1(text.encode()).hexdigest() == H2


@given(molecules())
def test_the_hash_is_that_of_qcelemental_for_any_molecule(data: dict[str, Any]) -> None:
    first = Molecule(validate=False, validated=True, **data)
    second = Molecule2(validate=False, validated=True, **data)
    assert identity(data) == first.get_hash() == second.get_hash()
    assert formula(data["symbols"]) == first.get_molecular_formula()


@given(molecules())
def test_what_is_stored_of_a_validated_molecule_keeps_its_hash(data: dict[str, Any]) -> None:
    molecule = Molecule(validate=False, validated=True, **data)
    document = to_wire(from_qcelemental(molecule))
    assert document["identifiers"]["molecule_hash"] == molecule.get_hash()
    assert identity(document) == molecule.get_hash()
    assert to_wire(document) == document


@given(molecules())
def test_an_unvalidated_molecule_is_completed_as_qcelemental_would(data: dict[str, Any]) -> None:
    data["symbols"] = [symbol.lower() for symbol in data["symbols"]]
    molecule = Molecule(nonphysical=False, **data)
    assert stored(data).hash == molecule.get_hash()


@given(st.lists(st.floats(-1e9, 1e9)), st.sampled_from([4, 6, 8]))
def test_arrays_are_rounded_as_numpy_rounds_them(values: list[float], digits: int) -> None:
    from qcelemental.models.v1.molecule import float_prep

    assert list(map(repr, rounded(values, digits))) == list(
        map(repr, float_prep(values, digits).tolist() if values else [])
    )


def test_the_default_isotopes_are_those_of_qcelemental() -> None:
    table = qcelemental.periodictable
    assert {s: (e.z, e.a, e.mass) for s, e in ELEMENTS.items()} == {
        s: (table.to_Z(s), table.to_A(s), table.to_mass(s)) for s in table.E
    }


def test_letter_case_of_a_symbol_changes_the_hash_but_not_the_formula() -> None:
    assert identity({"symbols": ["he"], "geometry": [0, 0, 0]}) != HE
    assert identity({"symbols": ["he"], "geometry": [0, 0, 0]}) == (
        Molecule(validate=False, validated=True, symbols=["he"], geometry=[0, 0, 0]).get_hash()
    )
    assert formula(["he", "HE"]) == "He2"


def test_no_element_no_hash() -> None:
    with pytest.raises(InvalidMolecule, match="'Xx' is not the symbol of an element"):
        identity({"symbols": ["Xx"], "geometry": [0, 0, 0]})


@pytest.mark.parametrize(
    ("typed", "written"), [("OH2", "H2O"), ("H2O", "H2O"), ("CH3CH3", "C2H6"), ("ClH", "ClH"), ("C10H22", "C10H22")]
)
def test_a_formula_may_be_typed_in_any_order(typed: str, written: str) -> None:
    assert parse_formula(typed) == written == order_molecular_formula(typed)


@pytest.mark.parametrize("typed", ["h2", "", "2H", "H 2 O!", "H2o)"])
def test_what_is_no_formula_stays_as_it_is_and_finds_nothing(typed: str) -> None:
    assert parse_formula(typed) == typed


def test_numpy_and_qcelemental_are_not_loaded_for_validated_molecules() -> None:
    code = (
        "import sys; from qchive.molecule import stored;"
        "stored({'symbols': ['He'], 'geometry': [0, 0, 0], 'validated': True});"
        "sys.exit('numpy' in sys.modules or 'qcelemental' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
