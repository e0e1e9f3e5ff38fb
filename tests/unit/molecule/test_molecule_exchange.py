"""To and from qcelemental's Molecule, in both layouts of QCSchema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from molecule_strategies import molecules
from qcelemental.models import Molecule
from qcelemental.models.v2 import Molecule as Molecule2

from qchive.molecule import from_qcelemental, stored, to_qcelemental, to_wire, with_id

DIMER = "-1 1\nO 0 0 0\n@H 0 0 1\n2H 0 1 0\n--\n1 1\nNa 0 0 6"


@pytest.mark.parametrize("layout", [Molecule, Molecule2])
def test_a_molecule_is_sent_as_plain_lists_without_nulls(layout: Any) -> None:
    molecule = layout.from_data(DIMER, identifiers={"smiles": "[Na+]"}, extras={"n": 1}, connectivity=[(0, 2, 1)])
    sent = from_qcelemental(molecule)
    assert json.loads(json.dumps(sent)) == {**sent, "connectivity": [[0, 2, 1.0]]}
    assert (sent["schema_version"], sent["validated"], len(sent["geometry"])) == (2, True, 12)
    assert sent["identifiers"] == {"smiles": "[Na+]"}
    assert None not in sent.values()
    assert stored(sent).hash == molecule.get_hash()


def test_an_older_class_that_only_has_dict_is_understood() -> None:
    molecule = Molecule.from_data(DIMER)

    class Old:
        def dict(self) -> dict[str, Any]:
            return molecule.dict()

    assert from_qcelemental(Old()) == from_qcelemental(molecule)


@pytest.mark.parametrize(("layout", "cls"), [(None, Molecule), (1, Molecule), (2, Molecule2)])
def test_a_document_becomes_a_molecule_with_its_id(layout: Any, cls: type) -> None:
    kept = stored(from_qcelemental(Molecule.from_data(DIMER, comment="salt")))
    molecule = to_qcelemental(json.loads(with_id(kept.document, 5)), layout)
    assert type(molecule) is cls
    assert (molecule.id, molecule.comment, molecule.fix_com) == (5, "salt", True)
    assert molecule.get_hash() == kept.hash
    assert molecule.geometry.shape == (4, 3)
    assert to_wire(from_qcelemental(molecule)) == json.loads(kept.document)


@given(molecules())
def test_going_round_changes_nothing(data: dict[str, Any]) -> None:
    document = to_wire({**data, "validated": True, "geometry": [x * 1.00000000001 for x in data["geometry"]]})
    assert to_wire(from_qcelemental(to_qcelemental(document))) == json.loads(json.dumps(document))
    assert to_wire(from_qcelemental(to_qcelemental(document, 2))) == json.loads(json.dumps(document))
