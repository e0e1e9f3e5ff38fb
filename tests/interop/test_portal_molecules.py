"""The peer's client, unmodified, adds, finds, changes and removes molecules on our server."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qcportal import PortalClient, PortalRequestError
from qcportal.molecules import Molecule, MoleculeIdentifiers

from qchive.server.settings import Settings
from tests.archive import prepared, running
from tests.interop.peers import portal

LIMITS = {"get_molecules": 8, "add_molecules": 10}


@pytest.fixture(scope="module")
def address(databases: Any) -> Iterator[str]:
    with prepared(databases) as conninfo, running(conninfo, Settings(api_limits=LIMITS)) as server:
        yield server.address


@pytest.fixture(params=["application/json", "application/msgpack"])
def client(address: str, request: pytest.FixtureRequest) -> PortalClient:
    return portal(address, request.param)


def hydrogen(**more: Any) -> Molecule:
    """A hydrogen molecule that no other test has."""
    length = 1.4 + uuid.uuid4().int % 10**8 / 10**8
    return Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, length], **more)


def test_a_molecule_comes_back_as_it_was(client: PortalClient) -> None:
    molecule = Molecule(
        symbols=["O", "H", "H", "He"],
        geometry=[0, 0, 0, 0, 1.5, 1, 0, -1.5, 1, 0, 0, 6 + uuid.uuid4().int % 10**8 / 10**8],
        real=[True, True, True, False],
        mass_numbers=[18, 1, 2, 4],
        connectivity=[(0, 1, 1.0), (0, 2, 1.5)],
        fragments=[[0, 1, 2], [3]],
        fragment_charges=[1.0, 0.0],
        fragment_multiplicities=[2, 1],
        molecular_charge=1.0,
        molecular_multiplicity=2,
        identifiers={"smiles": "O", "canonical_isomeric_smiles": "[18OH2]"},
        extras={"nested": {"list": [1, 2.5, None], "text": "ångström"}},
        comment="what it is",
    )
    meta, (molecule_id,) = client.add_molecules([molecule])
    assert meta.success
    assert meta.inserted_idx == [0]
    got = client.get_molecules(molecule_id)
    assert got == molecule
    assert got.get_hash() == molecule.get_hash()
    for name in ("molecular_charge", "fragment_charges", "connectivity", "extras", "comment"):
        assert str(getattr(got, name)) == str(getattr(molecule, name)), name
    assert (got.identifiers.smiles, got.identifiers.canonical_isomeric_smiles) == ("O", "[18OH2]")
    assert (got.geometry == molecule.geometry).all()
    assert (got.real == molecule.real).all()
    assert (got.masses == molecule.masses).all()


def test_the_same_molecule_is_kept_once(client: PortalClient) -> None:
    molecule, other = hydrogen(), hydrogen()
    _, (first,) = client.add_molecules([molecule])
    meta, ids = client.add_molecules([other, molecule, other])
    assert (meta.inserted_idx, meta.existing_idx) == ([0], [1, 2])
    assert ids == [ids[0], first, ids[0]]


def test_molecules_come_in_the_order_asked_for_over_several_requests(client: PortalClient) -> None:
    molecules = [hydrogen() for _ in range(10)]
    _, ids = client.add_molecules(molecules)
    assert client.get_molecules(ids[::-1]) == molecules[::-1]
    assert client.get_molecules([]) == []


def test_too_many_are_refused(client: PortalClient) -> None:
    with pytest.raises(RuntimeError, match="limit"):
        client.add_molecules([hydrogen() for _ in range(11)])
    client.api_limits["add_molecules"] = 1000
    with pytest.raises(PortalRequestError, match="Cannot add 11 molecule records - limit is 10"):
        client.add_molecules([hydrogen() for _ in range(11)])


def test_a_missing_molecule_is_an_error_or_none(client: PortalClient) -> None:
    _, (molecule_id,) = client.add_molecules([hydrogen()])
    with pytest.raises(PortalRequestError, match="Could not find all requested") as refused:
        client.get_molecules([molecule_id, 10**9])
    assert refused.value.status_code == 400
    assert client.get_molecules(10**9, missing_ok=True) is None
    found = client.get_molecules([10**9, molecule_id], missing_ok=True)
    assert [m and m.id for m in found] == [None, molecule_id]


def test_queries_go_through_all_pages_newest_first(client: PortalClient) -> None:
    molecules = [hydrogen() for _ in range(7)]
    _, ids = client.add_molecules(molecules)
    hashes = [m.get_hash() for m in molecules]
    newest_first = sorted(ids, reverse=True)
    found = client.query_molecules(molecule_hash=hashes)
    assert [m.id for m in found] == newest_first
    assert [m.id for m in client.query_molecules(molecule_hash=hashes, limit=5)] == newest_first[:5]
    assert [m.id for m in client.query_molecules(molecule_hash=hashes[0])] == [ids[0]]
    assert list(client.query_molecules(molecule_hash=hashes, molecular_formula="He")) == []


def test_formulas_are_found_in_any_order_of_their_elements(client: PortalClient) -> None:
    length = 2 + uuid.uuid4().int % 10**8 / 10**8
    _, (molecule_id,) = client.add_molecules([Molecule(symbols=["Li", "H"], geometry=[0, 0, 0, 0, 0, length])])
    for formula in ("HLi", "LiH", ["He", "LiH"]):
        assert molecule_id in [m.id for m in client.query_molecules(molecular_formula=formula)]


def test_identifiers_are_found_and_changed(client: PortalClient) -> None:
    name = uuid.uuid4().hex
    _, (molecule_id,) = client.add_molecules([hydrogen(identifiers={"smiles": name})])
    assert [m.id for m in client.query_molecules(identifiers={"smiles": name})] == [molecule_id]

    new = MoleculeIdentifiers(inchi="one")
    meta = client.modify_molecule(molecule_id, name="hydrogen", comment="a comment", identifiers=new)
    assert (meta.success, meta.updated_idx) == (True, [0])
    got = client.get_molecules(molecule_id)
    assert (got.name, got.comment) == ("hydrogen", "a comment")
    assert (got.identifiers.smiles, got.identifiers.inchi) == (name, "one")

    client.modify_molecule(molecule_id, identifiers=new, overwrite_identifiers=True)
    got = client.get_molecules(molecule_id)
    assert (got.identifiers.smiles, got.identifiers.inchi) == (None, "one")
    with pytest.raises(PortalRequestError, match="not found"):
        client.modify_molecule(10**9, name="nobody")


def test_molecules_that_records_use_stay(client: PortalClient) -> None:
    _, ids = client.add_molecules([hydrogen(), hydrogen()])
    client.add_singlepoints(ids[0], "psi4", "energy", "hf", "sto-3g")
    meta = client.delete_molecules([*ids, 10**9])
    assert meta.deleted_idx == [1, 2]
    assert meta.error_idx == [0]
    assert "referenced" in meta.error_string
    assert [m and m.id for m in client.get_molecules(ids, missing_ok=True)] == [ids[0], None]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves its files open
def test_files_and_archives_are_uploaded(client: PortalClient, tmp_path: Path) -> None:
    length = 0.7 + uuid.uuid4().int % 10**6 / 10**7
    text = tmp_path / "h2.xyz"
    text.write_text(f"2\n\nH 0 0 0\nH 0 0 {length:.7f}\n")
    packed = tmp_path / "more.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside/he.json", json.dumps({"symbols": ["He"], "geometry": [0.0, 0.0, 0.0]}))
        archive.writestr("broken.xyz", "this is not a molecule")
    found, errors = client.upload_molecules([str(text), str(packed)])
    assert list(found) == ["h2.xyz", "more.zip"]
    ((name, molecule_id),) = found["h2.xyz"]
    assert name == "h2.xyz"
    assert client.get_molecules(molecule_id).symbols.tolist() == ["H", "H"]
    assert [name for name, _ in found["more.zip"]] == ["he.json"]
    assert len(errors) == 1
    assert "broken.xyz" in errors[0]
