"""What the server keeps of a molecule, and what it refuses to keep."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec
import pytest
from qcelemental.models import Molecule

from qchive.errors import InvalidMolecule
from qchive.molecule import modified, stored, to_wire, with_id

STAMP = {"creator": "QCElemental", "version": "0.51.4", "routine": "qcelemental.molparse.from_schema"}
WATER: dict[str, Any] = {
    "symbols": ["O", "H", "H"],
    "geometry": [0.0, 0.0, -0.13, 0.0, -1.49, 1.03, 0.0, 1.49, 1.03],
    "validated": True,
}


def water(**changes: Any) -> dict[str, Any]:
    return {**WATER, **changes}


def refusal(**changes: Any) -> str:
    with pytest.raises(InvalidMolecule) as error:
        stored(water(**changes))
    return error.value.msg


def test_helium_is_kept_as_the_protocol_shows_it() -> None:
    sent = {
        "symbols": ["He"],
        "geometry": [0, 0, 0],
        "name": "helium",
        "identifiers": {"smiles": "[He]", "inchi": None},
        "provenance": STAMP,
        "validated": True,
    }
    kept = stored(sent)
    assert json.loads(with_id(kept.document, 1)) == {
        "fix_orientation": True,
        "name": "helium",
        "validated": True,
        "geometry": [0.0, 0.0, 0.0],
        "id": 1,
        "symbols": ["He"],
        "schema_version": 2,
        "molecular_multiplicity": 1.0,
        "schema_name": "qcschema_molecule",
        "molecular_charge": 0.0,
        "extras": {},
        "provenance": STAMP,
        "fix_com": True,
        "identifiers": {
            "smiles": "[He]",
            "molecule_hash": "b3855c64e9f61158f5e449e2df7b79bf1fa599d7",
            "molecular_formula": "He",
        },
    }
    assert b'"geometry":[0.0,0.0,0.0]' in kept.document
    assert (kept.hash, kept.formula, kept.name, kept.comment) == (
        kept.identifiers["molecule_hash"],
        "He",
        "helium",
        None,
    )


def test_json_and_messagepack_bodies_give_the_same_molecule() -> None:
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(WATER))
    assert stored(packed) == stored(json.loads(json.dumps(WATER)))


def test_nulls_ids_and_the_senders_frame_are_not_kept() -> None:
    kept = to_wire(water(id=77, comment=None, masses=None, extras=None, fix_com=False, fix_orientation=None))
    assert kept == to_wire(WATER)
    assert "id" not in kept
    assert kept["fix_com"] is kept["fix_orientation"] is True


def test_what_only_repeats_the_defaults_is_dropped() -> None:
    kept = to_wire(
        water(
            masses=[15.99491462, 1.00782503, 1.00782503],
            mass_numbers=[16, 1, 1],
            atomic_numbers=[8, 1, 1],
            real=[True] * 3,
            atom_labels=[""] * 3,
            fragments=[[0, 1, 2]],
            fragment_charges=[0.0],
            fragment_multiplicities=[1],
        )
    )
    assert kept == to_wire(WATER)


def test_what_is_not_the_default_is_kept() -> None:
    special = {
        "comment": "heavy",
        "masses": [15.99491462, 2.01410178, 2.01410178],
        "mass_numbers": [16, 2, 2],
        "real": [True, True, False],
        "atom_labels": ["", "a", "b"],
        "connectivity": [[0, 1, 1.0]],
        "fragments": [[0, 1], [2]],
        "fragment_charges": [-1.0, 0.0],
        "fragment_multiplicities": [1.0, 1.0],
        "molecular_charge": -1.0,
        "fix_symmetry": "cs",
        "extras": {"packed": {"_bytes_base64_": "AQI="}, "list": [1, None, "x"]},
    }
    assert special.items() <= json.loads(stored(water(**special)).document).items()


def test_bytes_in_extras_travel_in_the_tagged_form() -> None:
    assert to_wire(water(extras={"packed": b"\x01\x02"}))["extras"] == {"packed": {"_bytes_base64_": "AQI="}}


def test_rows_of_three_are_as_good_as_a_flat_geometry() -> None:
    rows = [WATER["geometry"][i : i + 3] for i in (0, 3, 6)]
    assert stored(water(geometry=rows)) == stored(WATER)


def test_a_validated_molecule_keeps_every_digit_and_an_unvalidated_one_eight() -> None:
    geometry = [0.0, 0.0, 0.123456789012, 0.0, 0.0, 2.0]
    sent = {"symbols": ["he", "HE"], "geometry": geometry}
    assert to_wire({**sent, "validated": True})["geometry"] == geometry
    assert to_wire({**sent, "validated": True})["symbols"] == ["he", "HE"]
    completed = to_wire(sent)
    assert completed["geometry"] == [0.0, 0.0, 0.12345679, 0.0, 0.0, 2.0]
    assert completed["symbols"] == ["He", "He"]
    assert completed["provenance"]["creator"] == "QCElemental"


def test_charge_and_spin_of_an_unvalidated_molecule_are_completed() -> None:
    hydroxyl = {"symbols": ["o", "h"], "geometry": [0, 0, 0, 0, 0, 1.8], "identifiers": {"smiles": "[OH]"}}
    kept = to_wire(hydroxyl)
    assert kept["molecular_multiplicity"] == 2.0
    assert kept["identifiers"]["smiles"] == "[OH]"
    assert to_wire({**hydroxyl, "molecular_charge": -1})["molecular_multiplicity"] == 1.0


def test_gaps_in_an_unvalidated_molecule_are_filled() -> None:
    sent = {
        "symbols": ["H", "He"],
        "geometry": [0, 0, 0, 0, 0, 9],
        "masses": [2.014, None],
        "fragments": [[0], [1]],
        "fragment_charges": [1, None],
    }
    kept = to_wire(sent)
    assert kept["masses"] == [2.014, 4.00260325413]
    assert (kept["molecular_charge"], kept["fragment_charges"]) == (1.0, [1.0, 0.0])
    assert stored(sent).hash == Molecule(**sent).get_hash()


def test_many_fragments_are_settled_without_trying_all_combinations() -> None:
    n = 40
    sent = {
        "symbols": ["He", "H"] * (n // 2),
        "geometry": [float(4 * i * (axis == 2)) for i in range(n) for axis in range(3)],
        "fragments": [[i] for i in range(n)],
    }
    kept = to_wire(sent)
    assert kept["fragment_multiplicities"] == [1.0, 2.0] * (n // 2)
    assert kept["molecular_multiplicity"] == n // 2 + 1
    with pytest.raises(InvalidMolecule, match="give `fragment_multiplicities`"):
        to_wire({**sent, "molecular_multiplicity": 1})
    with pytest.raises(InvalidMolecule, match="give `fragment_charges`"):
        to_wire({**sent, "molecular_charge": 2})


@pytest.mark.parametrize(
    "legitimate",
    [
        {"symbols": ["H"], "geometry": [0, 0, 0], "molecular_charge": 1},  # a bare proton
        {"symbols": ["He"], "geometry": [0, 0, 0], "real": [False]},  # nothing but a ghost
        {"symbols": ["X", "He"], "geometry": [0, 0, 0, 0, 0, 2]},  # a dummy atom
        {"symbols": ["O"], "geometry": [0, 0, 0], "molecular_charge": -2},
        {"symbols": ["N"], "geometry": [0, 0, 0], "molecular_multiplicity": 4},
        {"symbols": ["Be"], "geometry": [0, 0, 0], "molecular_charge": 0.5, "molecular_multiplicity": 1.25},
        {**WATER, "molecular_charge": 9, "molecular_multiplicity": 2},  # exotic, but there is an electron
    ],
)
@pytest.mark.parametrize("validated", [True, False])
def test_odd_but_possible_molecules_are_kept(legitimate: dict[str, Any], validated: bool) -> None:
    assert (
        stored({**legitimate, "validated": validated}).hash == Molecule(**{**legitimate, "validated": False}).get_hash()
    )


def test_a_modified_molecule_keeps_its_hash_and_formula() -> None:
    kept = stored(water(identifiers={"smiles": "O", "pubchem_cid": 962}))
    assert kept.identifiers["pubchem_cid"] == "962"
    changed = modified(
        kept.document, name="w", comment="c", identifiers={"inchi": "i", "smiles": None, "molecule_hash": "ff"}
    )
    assert (changed.name, changed.comment, changed.hash, changed.formula) == ("w", "c", kept.hash, "H2O")
    assert changed.identifiers == kept.identifiers | {"inchi": "i"}
    alone = modified(changed.document, identifiers={"inchikey": "k"}, overwrite_identifiers=True)
    assert alone.identifiers == {"inchikey": "k", "molecule_hash": kept.hash, "molecular_formula": "H2O"}
    assert (alone.name, alone.comment) == ("w", "c")
    assert json.loads(alone.document)["identifiers"] == alone.identifiers
    assert modified(kept.document) == kept


def test_modifying_refuses_identifiers_that_are_none() -> None:
    with pytest.raises(InvalidMolecule, match="unknown field `cas`"):
        modified(stored(WATER).document, identifiers={"cas": "7732-18-5"})
    with pytest.raises(InvalidMolecule, match="NUL"):
        modified(stored(WATER).document, name="a\0b")


NAN, INF = math.nan, math.inf

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"molecule_hash": "ab"}, "unknown field `molecule_hash`"),
    ({"identifiers": {"cas": "7732-18-5"}}, "unknown field `cas`"),
    ({"schema_version": 1}, r"`\$.schema_version`"),
    ({"schema_name": "qcschema_input"}, r"`\$.schema_name`"),
    ({"symbols": "OHH"}, r"Expected `array`, got `str` - at `\$.symbols`"),
    ({"symbols": ["O", 1, 1]}, r"Expected `str`, got `int`"),
    ({"geometry": None}, r"Expected `array`, got `null` - at `\$.geometry`"),
    ({"geometry": ["0"] * 9}, r"Expected `float`, got `str`"),
    ({"geometry": [[0, 0], [1, 1], [2, 2]]}, "x, y, z of each atom"),
    ({"symbols": [], "geometry": []}, "has no atoms"),
    ({"geometry": [0.0] * 8}, "8 numbers, but x, y, z"),
    ({"geometry": [0, 0, 0, 0, NAN, 1, 0, 1, 1]}, "coordinate y of atom 1 is nan"),
    ({"geometry": [0, 0, 0, 0, 1, 1, 0, 1, -INF]}, "coordinate z of atom 2 is -inf"),
    ({"geometry": [1e300, 0, 0, 0, 1, 1, 0, 9, 1]}, "coordinate x of atom 0 is 1e"),
    ({"symbols": ["Oxygen", "H", "H"]}, "'Oxygen' is not the symbol of an element"),
    ({"symbols": ["O", "D", "H"]}, "isotopes are named by `mass_numbers`"),
    ({"symbols": ["O", "", "H"]}, "'' is not the symbol"),
    ({"masses": [16.0, 1.0]}, "`masses` has 2 entries for 3 atoms"),
    ({"masses": [16.0, 1.0, NAN]}, "`masses` is nan at position 2"),
    ({"masses": [16.0, 1.0, -1.0]}, "negative mass"),
    ({"mass_numbers": [16, 1, -2]}, "`mass_numbers` holds a negative number"),
    ({"real": [True]}, "`real` has 1 entries"),
    ({"real": [1, 1, 1]}, "Expected `bool`"),
    ({"atom_labels": []}, "`atom_labels` has 0 entries"),
    ({"atomic_numbers": [8, 1, 2]}, "`atomic_numbers` belong to other elements"),
    ({"molecular_charge": NAN}, "`molecular_charge` is nan"),
    ({"molecular_multiplicity": INF}, "`molecular_multiplicity` is inf"),
    ({"molecular_multiplicity": NAN}, r"`\$.molecular_multiplicity`"),
    ({"molecular_multiplicity": 0}, ">= 1.0"),
    ({"molecular_multiplicity": 2}, "10 electrons need an odd multiplicity"),
    ({"molecular_multiplicity": 13}, "12 unpaired electrons, but the molecule has only 10"),
    ({"molecular_charge": 11, "molecular_multiplicity": 2}, "takes more electrons away than the 10"),
    ({"molecular_charge": -50}, "more electrons than the atoms of the molecule can hold"),
    ({"real": [False] * 3, "molecular_charge": -2}, "more electrons than the atoms"),
    ({"connectivity": []}, r"length >= 1"),
    ({"connectivity": [[0, 1]]}, "length 3"),
    ({"connectivity": [[0, 3, 1]]}, "bond 0-3, but the 3 atoms are numbered from 0"),
    ({"connectivity": [[0, -1, 1]]}, ">= 0"),
    ({"connectivity": [[1, 1, 1]]}, "binds atom 1 to itself"),
    ({"connectivity": [[0, 1, 6]]}, "<= 5.0"),
    ({"connectivity": [[0, 1, NAN]]}, r"`\$.connectivity"),
    ({"fragments": [[0], [1]]}, "no partition"),
    ({"fragments": [[0, 1], [1, 2]]}, "no partition"),
    ({"fragments": [[0, 1, 2], []]}, "no partition"),
    ({"fragments": [[0], [1, 2]], "fragment_charges": [0.0]}, "1 entries for 2 fragments"),
    (
        {"fragments": [[0], [1, 2]], "fragment_charges": [0, 0], "fragment_multiplicities": [2, 1]},
        "do not fit fragment 0: 8 electrons need an odd multiplicity",
    ),
    ({"geometry": [0, 0, 0, 0, 0, 1, 0, 0.01, 1]}, "atoms 1 and 2 overlap: they are 0.010 Bohr apart"),
    ({"geometry": [0, 0, 0, 0, 0, 1, 0, 0, 0]}, "atoms 0 and 2 overlap"),
    ({"extras": {"a": [NAN]}}, "`extras` holds nan"),
    ({"extras": {1: 2}}, r"Expected `str`, got `int`"),
    ({"extras": {"a": {1: 2}}}, "keys that are no text"),
    ({"extras": {"a": object()}}, "JSON cannot carry"),
    ({"name": "\ud800"}, "JSON cannot carry"),
    ({"comment": "a\0b"}, "NUL"),
    ({"name": 3}, r"`\$.name`"),
]
UNFINISHED: list[tuple[dict[str, Any], str]] = [
    ({"masses": [16.0, None, 1.0]}, "`masses` has gaps"),
    ({"molecular_charge": 1}, "9 electrons need an even multiplicity"),
    ({"fragments": [[0], [1, 2]], "fragment_charges": [0.0, None]}, "`fragment_charges` has gaps"),
    (
        {"fragments": [[0], [1, 2]], "fragment_charges": [1, 0], "fragment_multiplicities": [2, 1]},
        r"add up to \+1, but `molecular_charge` is \+0",
    ),
    ({"provenance": {"version": "1"}}, "`provenance` lacks its `creator`"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSALS)
def test_what_makes_no_sense_is_refused_and_the_reason_said(changes: dict[str, Any], message: str) -> None:
    assert re.search(message, refusal(**changes))
    assert refusal(**changes, validated=False)


@pytest.mark.parametrize(("changes", "message"), UNFINISHED)
def test_what_can_be_completed_is_refused_only_where_it_claims_to_be_validated(
    changes: dict[str, Any], message: str
) -> None:
    assert re.search(message, refusal(**changes))
    assert stored(water(**changes, validated=False)).formula == "H2O"


def test_text_that_only_looks_like_a_nul_is_kept() -> None:
    assert stored(water(comment=r"C:\u0000")).comment == r"C:\u0000"


def test_nesting_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    assert "nested deeper" in refusal(extras=deep)


def test_hydrogen_as_a_singlet_is_refused_even_if_called_validated() -> None:
    hydrogen = {"symbols": ["H"], "geometry": [0, 0, 0]}
    with pytest.raises(InvalidMolecule, match="1 electrons need an even multiplicity"):
        stored({**hydrogen, "validated": True})
    assert stored(hydrogen).hash == Molecule(**hydrogen).get_hash()


def test_what_qcelemental_alone_can_tell_is_passed_on_in_one_line() -> None:
    said = refusal(validated=False, masses=[300.0, 1.0, 1.0])
    assert said.startswith("qcelemental refuses the molecule: Inconsistent or unspecified mass")
    assert "\n" not in said
    said = refusal(validated=False, fragments=[[0, 2], [1]])
    assert "non-contiguous fragments" in said


def test_thousands_of_atoms_in_a_plane_are_looked_through_for_overlaps() -> None:
    side = 60
    geometry = [c for i in range(side) for j in range(side) for c in (2.0 * i, 2.0 * j, 0.0)]
    carbon = {"symbols": ["C"] * side**2, "geometry": geometry, "validated": True}
    assert stored(carbon).formula == "C3600"
    geometry[-3:] = [0.05, 0.0, 0.0]
    with pytest.raises(InvalidMolecule, match="atoms 0 and 3599 overlap"):
        stored(carbon)
