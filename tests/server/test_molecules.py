"""Molecules over HTTP: adding, getting, finding, changing, removing, uploading."""

from __future__ import annotations

import io
import threading
import zipfile
from typing import Any

import httpx
import pytest
from tests.factories import Http, add, http, make_molecule, sql

HE = {"symbols": ["He"], "geometry": [0.0, 0.0, 0.0]}
WATER = "3\nwater\nO 0 0 0\nH 0 0.76 0.59\nH 0 -0.76 0.59\n"


def store(api: Http, *molecules: dict[str, Any]) -> list[int]:
    _, ids = api.post("molecules/bulkCreate", list(molecules))
    return ids  # type: ignore[no-any-return]


def test_repeats_and_known_molecules_keep_their_id_and_name(api: Http) -> None:
    meta, ids = api.post("molecules/bulkCreate", [make_molecule(1), make_molecule(2), make_molecule(1)])
    assert meta == {"error_description": None, "errors": [], "inserted_idx": [0, 1], "existing_idx": [2]}
    assert ids[0] == ids[2] != ids[1]
    meta, again = api.post("molecules/bulkCreate", [make_molecule(2, name="new name")])
    assert (meta["existing_idx"], again) == ([0], [ids[1]])
    assert api.get(f"molecules/{ids[1]}")["name"] == "He2"


def test_a_molecule_is_served_as_the_protocol_says(api: Http) -> None:
    (molecule_id,) = store(api, {**HE, "identifiers": {"smiles": "[He]"}})
    found = api.get(f"molecules/{molecule_id}")
    assert found["id"] == molecule_id
    assert found["identifiers"] == {
        "smiles": "[He]",
        "molecule_hash": "b3855c64e9f61158f5e449e2df7b79bf1fa599d7",
        "molecular_formula": "He",
    }
    for key, value in {"schema_name": "qcschema_molecule", "schema_version": 2, "validated": True}.items():
        assert found[key] == value


def test_molecules_come_in_the_order_asked_for(shared_api: Http) -> None:
    one, two = store(shared_api, make_molecule(), make_molecule())
    found = shared_api.post("molecules/bulkGet", {"ids": [two, one, 10**9, two], "missing_ok": True})
    assert [m and m["id"] for m in found] == [two, one, None, two]
    refusal = shared_api.refused("POST", "/api/v1/molecules/bulkGet", {"ids": [one, 10**9]})
    assert (refusal.status, refusal.reply["msg"]) == (400, "Could not find all requested records")
    assert shared_api.refused("GET", "/api/v1/molecules/99999999").reply["code"] == "not_found"
    refusal = shared_api.refused("POST", "/api/v1/molecules/bulkGet", {"ids": [1] * 1001})
    assert refusal.reply["msg"] == "Cannot get 1001 molecule records - limit is 1000"


def test_parts_of_molecules_can_be_asked_for(shared_api: Http) -> None:
    (molecule_id,) = store(shared_api, make_molecule())
    path = f"molecules/{molecule_id}"
    whole = shared_api.get(path)
    assert set(shared_api.get(path, include=["symbols", "nonsense"])) == {"id", "symbols"}
    assert shared_api.get(path, include="*") == whole
    assert set(shared_api.get(path, exclude=["id", "geometry"])) == set(whole) - {"geometry"}


@pytest.fixture(scope="module")
def found_by(shared_api: Http) -> dict[str, Any]:
    ids = store(
        shared_api,
        {**HE, "identifiers": {"smiles": "[He]", "pubchem_cid": "23987"}},
        {"symbols": ["O", "H", "H"], "geometry": [0, 0, 0, 0, 1.4, 1.1, 0, -1.4, 1.1], "identifiers": {"smiles": "O"}},
        {"symbols": ["H", "O", "H"], "geometry": [0, 1.4, 1.1, 0, 0, 0, 0, -1.4, 1.1]},
    )
    hashes = [m["identifiers"]["molecule_hash"] for m in shared_api.post("molecules/bulkGet", {"ids": ids})]
    return {"@he": ids[0], "@water": ids[1], "@hoh": ids[2], "#he": hashes[0], "#water": hashes[1], "@all": ids}


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"molecule_id": ["@he", "@hoh", 10**9]}, ["@hoh", "@he"]),
        ({"molecule_id": []}, []),
        ({"molecule_hash": ["#he", "#water", "nonsense", "", "abc"]}, ["@water", "@he"]),
        ({"molecular_formula": ["H2O"]}, ["@hoh", "@water"]),
        ({"molecular_formula": ["OH2", "He"]}, ["@hoh", "@water", "@he"]),
        ({"molecular_formula": ["h2o"]}, []),
        ({"molecular_formula": [""]}, []),
        ({"identifiers": {"smiles": ["O", "C"]}}, ["@water"]),
        ({"identifiers": {"smiles": ["[He]"], "pubchem_cid": ["23987"]}}, ["@he"]),
        ({"identifiers": {"smiles": ["[He]"], "pubchem_cid": ["1"]}}, []),
        ({"identifiers": {"smiles": []}}, []),
        ({"identifiers": {"nonsense": ["x"]}}, []),
        ({"molecular_formula": ["H2O"], "identifiers": {"smiles": ["O"]}}, ["@water"]),
    ],
)
def test_a_filter_finds_what_fits(
    shared_api: Http, found_by: dict[str, Any], filters: dict[str, Any], wanted: list[str]
) -> None:
    body = {k: [found_by.get(v, v) for v in vs] if isinstance(vs, list) else vs for k, vs in filters.items()}
    assert shared_api.post("molecules/query", body) == sorted((found_by[w] for w in wanted), reverse=True)


def test_pages_go_on_below_the_cursor(shared_api: Http, found_by: dict[str, Any]) -> None:
    body = {"molecule_id": found_by["@all"]}
    one = shared_api.post("molecules/query", {**body, "limit": 2})
    two = shared_api.post("molecules/query", {**body, "limit": 2, "cursor": one[-1]})
    assert one + two == sorted(found_by["@all"], reverse=True)


def test_name_comment_and_identifiers_can_be_changed_but_not_the_molecule(shared_api: Http) -> None:
    (molecule_id,) = store(shared_api, make_molecule(identifiers={"smiles": "x", "inchi": "y"}))
    before = shared_api.get(f"molecules/{molecule_id}")
    change = {"name": "n", "comment": "c", "identifiers": {"smiles": "z", "molecule_hash": "0" * 40}}
    answer = shared_api.patch(f"molecules/{molecule_id}", change)
    assert answer == {"error_description": None, "errors": [], "updated_idx": [0], "n_children_updated": 0}
    after = shared_api.get(f"molecules/{molecule_id}")
    identifiers = {**before["identifiers"], "smiles": "z"}
    assert after == {**before, "name": "n", "comment": "c", "identifiers": identifiers}
    shared_api.patch(f"molecules/{molecule_id}", {"identifiers": {"inchikey": "k"}, "overwrite_identifiers": True})
    left = shared_api.get(f"molecules/{molecule_id}")["identifiers"]
    assert set(left) == {"inchikey", "molecule_hash", "molecular_formula"}
    assert molecule_id in shared_api.post("molecules/query", {"identifiers": {"inchikey": ["k"]}})
    assert shared_api.post("molecules/query", {"identifiers": {"inchi": ["y"]}}) == []
    refusal = shared_api.refused("PATCH", "/api/v1/molecules/999999", {"name": "x"})
    assert refusal.reply["msg"] == "Molecule with id 999999 not found in the database"
    refusal = shared_api.refused("PATCH", f"/api/v1/molecules/{molecule_id}", {"identifiers": {"nonsense": "x"}})
    assert refusal.status == 400


def test_only_molecules_that_nothing_needs_are_removed(api: Http) -> None:
    free, used = store(api, make_molecule(), make_molecule())
    add(api, molecules=[used])
    answer = api.post("molecules/bulkDelete", [free, used, 10**9, free])
    assert (answer["deleted_idx"], answer["n_children_deleted"]) == ([0, 2, 3], 0)
    assert answer["errors"] == [[1, "Integrity Error - may still be referenced"]]
    assert api.ask("DELETE", f"/api/v1/molecules/{used}")["deleted_idx"] == []
    assert api.ask("DELETE", f"/api/v1/molecules/{free}")["deleted_idx"] == [0]


def test_removing_and_using_a_molecule_at_once_never_fails_halfway(archive: Any, api: Http) -> None:
    ids = store(api, *(make_molecule() for _ in range(40)))
    start = threading.Barrier(2)

    def remove() -> None:
        with http(archive.address) as own:
            start.wait()
            for molecule_id in ids:
                own.ask("DELETE", f"/api/v1/molecules/{molecule_id}")

    thread = threading.Thread(target=remove)
    thread.start()
    start.wait()
    body = {"specification": {"program": "p", "driver": "energy", "method": "m", "basis": None}}
    for molecule_id in reversed(ids):
        meta, added = api.post("records/singlepoint/bulkCreate", {**body, "molecules": [molecule_id]})
        assert (meta["error_description"] is None) == bool(added)
    thread.join()
    lost = "SELECT count(*) FROM record r WHERE NOT EXISTS (SELECT FROM record_molecule m WHERE m.record_id = r.id)"
    assert sql(archive.conninfo, lost) == [(0,)]


def test_concurrent_adders_agree_on_the_ids(archive: Any) -> None:
    molecules = [make_molecule(n) for n in range(50)]
    start = threading.Barrier(4)
    found: list[list[int]] = []

    def adder(backwards: bool) -> None:
        with http(archive.address) as own:
            start.wait()
            ids = store(own, *(molecules[::-1] if backwards else molecules))
        found.append(ids[::-1] if backwards else ids)

    threads = [threading.Thread(target=adder, args=(n % 2 == 1,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(ids == found[0] for ids in found)
    assert len(set(found[0])) == 50


@pytest.mark.parametrize(
    "molecule",
    [
        {"symbols": [], "geometry": []},
        {"symbols": ["He"], "geometry": [0.0, 0.0]},
        {"symbols": ["He"], "geometry": [0.0, 0.0, None]},
        {"symbols": ["Xx"], "geometry": [0.0, 0.0, 0.0]},
        {"symbols": ["H"], "geometry": [0.0, 0.0, 0.0], "molecular_multiplicity": 1},
        {"symbols": ["He", "He"], "geometry": [0.0, 0.0, 0.0, 0.0, 0.0, 0.001]},
        {**HE, "unknown": 1},
        {**HE, "molecule_hash": "0" * 40},
        {**HE, "identifiers": {"unknown": "x"}},
        {**HE, "name": "a\0b"},
        {**HE, "molecular_charge": 1e300},
        {**HE, "extras": {"x": 2**70}},
        {},
    ],
)
def test_a_molecule_that_makes_no_sense_refuses_the_body_and_says_which(
    shared: Any, shared_api: Http, molecule: dict[str, Any]
) -> None:
    before = sql(shared.conninfo, "SELECT count(*) FROM molecule")
    refusal = shared_api.refused("POST", "/api/v1/molecules/bulkCreate", [make_molecule(), molecule])
    assert (refusal.status, refusal.reply["code"]) == (400, "invalid_molecule")
    assert refusal.reply["index"] == 1
    assert refusal.reply["msg"].startswith("Invalid body: molecule 1: ")
    assert sql(shared.conninfo, "SELECT count(*) FROM molecule") == before


def test_numbers_that_are_none_are_refused_in_messagepack_too(shared_api: Http) -> None:
    bad = {"symbols": ["He"], "geometry": [0.0, 0.0, float("nan")], "validated": True}
    refusal = shared_api.refused("POST", "/api/v1/molecules/bulkCreate", [bad], encoding="application/msgpack")
    assert refusal.reply["code"] == "invalid_molecule"


def test_more_molecules_than_the_limit_are_refused(shared_api: Http) -> None:
    refusal = shared_api.refused("POST", "/api/v1/molecules/bulkCreate", [{}] * 1001)
    assert refusal.reply["msg"] == "Cannot add 1001 molecule records - limit is 1000"
    meta, ids = shared_api.post("molecules/bulkCreate", [])
    assert (meta["inserted_idx"], ids) == ([], [])


# --- upload -------------------------------------------------------------------------------------------------------


OPTIONS = ("body", b'{"dummy": true}', "application/json")


def upload(api: Http, *files: tuple[str, bytes], body: Any = OPTIONS) -> httpx.Response:
    parts: list[Any] = [("files", file) for file in files]
    if body is not None:
        parts.append(("body_data", body))
    return api.raw.post("/api/v1/molecules/fromFiles", files=parts)


def zipped(**members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_", "."), text)
    return packed.getvalue()


def test_files_become_molecules_and_bad_ones_are_reported(api: Http) -> None:
    answer = upload(api, ("w.xyz", WATER.encode()), ("bad.xyz", b"rubbish"), ("a.zip", zipped(w_xyz=WATER, b_xyz="x")))
    assert answer.status_code == 200
    named, errors = answer.json()
    ((inner, molecule_id),) = named["w.xyz"]
    assert inner == "w.xyz"
    assert named["bad.xyz"] == []
    assert named["a.zip"] == [["w.xyz", molecule_id]]
    assert len(errors) == 2
    assert "bad.xyz" in errors[0]
    found = api.get(f"molecules/{molecule_id}")
    assert found["symbols"] == ["O", "H", "H"]
    assert found["geometry"][4] == pytest.approx(0.76 / 0.529177210903, abs=1e-6)


def test_an_upload_without_files_is_no_error(shared_api: Http) -> None:
    assert upload(shared_api).json() == [{}, []]


def test_uploads_that_make_no_sense_are_refused(shared_api: Http) -> None:
    json_type = {"Content-Type": "application/json"}
    no_boundary = {"Content-Type": "multipart/form-data"}
    surrogate = b"\xed\xa0\x80"
    many = [(f"{n}.xyz", WATER.encode()) for n in range(1001)]
    for answer in (
        upload(shared_api, ("t.py", b"x")),
        upload(shared_api, ("", b"x")),
        upload(shared_api, body=None),
        upload(shared_api, body=("b", b'{"unknown": 1}', "application/json")),
        upload(shared_api, body=("b", b"{", "application/json")),
        upload(shared_api, body=("b", b"\xff\xfe", "application/json")),
        upload(shared_api, body=("b", b"{}", "text/plain")),
        upload(shared_api, *many),
        shared_api.raw.post("/api/v1/molecules/fromFiles", content=b"{}", headers=json_type),
        shared_api.raw.post("/api/v1/molecules/fromFiles", content=b"{}", headers=no_boundary),
        shared_api.raw.post(
            "/api/v1/molecules/fromFiles",
            content=b"rubbish",
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        ),
        shared_api.raw.post("/api/v1/molecules/fromFiles", files={"body_data": (None, surrogate)}),
    ):
        assert answer.status_code in (400, 413), answer.text
        assert answer.json()["msg"]
