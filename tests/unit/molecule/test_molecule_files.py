"""Molecules from uploaded files and archives, and the ways in which those can be bad."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from qcelemental.models import Molecule

from qchive.errors import InvalidBody, InvalidMolecule, LimitExceeded, TooLarge
from qchive.molecule import read_files
from qchive.molecule.complete import from_text

XYZ = b"2\nhydrogen\nH 0 0 0\nH 0 0 0.74\n"
HELIUM = json.dumps({"symbols": ["He"], "geometry": [0, 0, 0]}).encode()
HASH = Molecule.from_data(XYZ.decode()).get_hash()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


TEXTS = [
    XYZ.decode(),
    "2\n\n1 0 0 0\n1 0 0 0.74",
    "2 au\n1 2 a cation\nH 0 0 0\nH 0 0 1.4",
    "H 0 0 0\nunits bohr\nH 0 0 1.4\n2H 0 0 9\nno_com\nsymmetry c1",
    "0 1\nHe 0 0 0\n--\n0 1\n@He 0 0 3\n",
    "\r\n1 2\r\nHe 0 0 0\r\n--\r\n# a comment\r\n0 1\r\nHe 0 0 3\r\n",
]


@pytest.mark.parametrize("second", ["1 2", " +1.0,  2 "])
def test_the_second_line_of_an_xyz_file_counts_where_that_is_asked_for(second: str) -> None:
    text = f"2\n{second}\nH 0 0 0\nH 0 0 0.74\n".encode()
    by_default, when_asked = (
        json.loads(read_files([("a.zip", zipped({"a.xyz": text}))], charge_in_comment=asked)[0]["a.zip"][0][1].document)
        for asked in (False, True)
    )
    assert (by_default["molecular_charge"], by_default["molecular_multiplicity"]) == (0.0, 1.0)
    assert (when_asked["molecular_charge"], when_asked["molecular_multiplicity"]) == (1.0, 2.0)


@pytest.mark.parametrize("second", ["", "1", "1 2 3", "1 2 a cation", "0.5 2", "1 -2", "1 0", "hydrogen"])
def test_a_second_line_of_anything_else_is_a_comment(second: str) -> None:
    text = f"2\n{second}\nH 0 0 0\nH 0 0 0.74\n".encode()
    found, errors = read_files([("a.xyz", text)], charge_in_comment=True)
    assert errors == []
    assert found["a.xyz"][0][1].hash == HASH


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_read_as_qcelemental_reads_it(text: str) -> None:
    found, errors = read_files([("a.xyz", text.encode())])
    assert errors == []
    [(name, kept)] = found["a.xyz"]
    assert (name, kept.hash) == ("a.xyz", Molecule.from_data(text).get_hash())
    assert json.loads(kept.document)["provenance"]["routine"] == "qcelemental.molparse.from_string"


def test_a_file_of_qcschema_is_read() -> None:
    found, errors = read_files([("He.JSON", HELIUM)])
    assert (found["He.JSON"][0][1].formula, errors) == ("He", [])


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.zip", zipped),
        ("b.ZIP", lambda members: zipped(members, zipfile.ZIP_LZMA)),
        ("a.tar.gz", lambda members: gzip.compress(tarred(members))),
        ("a.tgz", lambda members: gzip.compress(tarred(members))),
        ("a.tar.bz2", lambda members: bz2.compress(tarred(members))),
        ("a.tbz2", lambda members: bz2.compress(tarred(members))),
        ("a.tar.xz", lambda members: lzma.compress(tarred(members))),
        ("a.txz", lambda members: lzma.compress(tarred(members))),
    ],
)
def test_an_archive_gives_all_its_molecules_by_base_name(name: str, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    members = {"w.xyz": XYZ, "deep/er/he.json": HELIUM, "deep/bad.xyz": b"no", "__MACOSX/._w.xyz": b"x", "psi4": XYZ}
    found, errors = read_files([(name, pack(members))])
    assert [(member, kept.formula) for member, kept in found[name]] == [
        ("w.xyz", "H2"),
        ("he.json", "He"),
        ("psi4", "H2"),
    ]
    assert len(errors) == 1
    assert errors[0].startswith(f"Error parsing molecule 'bad.xyz' in '{name}': ")


def test_bad_files_are_named_and_the_others_kept() -> None:
    files = [("w.xyz", XYZ), ("bad.xyz", b"1\n\nQq 0 0 0\n"), ("he.json", HELIUM), ("bin.xyz", b"\xff\xfe\x00")]
    found, errors = read_files(files)
    assert {name: [kept.formula for _, kept in kept] for name, kept in found.items()} == {
        "w.xyz": ["H2"],
        "bad.xyz": [],
        "he.json": ["He"],
        "bin.xyz": [],
    }
    assert errors[0] == "Error parsing molecule 'bad.xyz': Qq is not an element"
    assert errors[1].startswith("Error parsing molecule 'bin.xyz': not text")


def test_two_files_of_one_name_are_both_kept() -> None:
    found, _ = read_files([("a.json", HELIUM), ("a.json", HELIUM)])
    assert len(found["a.json"]) == 2


@pytest.mark.parametrize("name", ["t1.py", "plain.tar", "xyz", "a.xyz.gz", ""])
def test_other_files_are_refused_with_the_list_of_those_allowed(name: str) -> None:
    with pytest.raises(InvalidBody) as error:
        read_files([("a.xyz", XYZ), (name, b"")])
    assert error.value.msg == (
        f"Invalid file extension on file: {name}. Allowed extensions: "
        "['xyz', 'json', 'zip', 'tar.gz', 'tgz', 'tar.bz2', 'tbz2', 'tar.xz', 'txz']"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not one molecule"),
        ("O\nH 1 0.96\nH 1 0.96 2 104", "no z-matrices"),
        ("efp h2o 0 0 0 0 0 0", "no z-matrices or EFP"),
        ("He 0 0 0\n--\nefp h2o 0 0 0 0 0 0", "no z-matrices or EFP"),
        (XYZ.decode() * 2, "one molecule in XYZ or Psi4 format; the first line that looks wrong is '2'"),
        ("3\n\nH 0 0 0\nH 0 0 1\n", "the first line promises 3 atoms, but there are 2"),
        ("1\n\nH 0 0 0\nH 0 0 1\n", "the first line promises 1 atoms, but there are 2"),
        ("pubchem:benzene", "PubChem"),
        ("H 0 0 0\n  PubChem : benzene", "PubChem"),
        ("H 0 0 0\nH 0 0 0", "too close"),
        ("0 2\nHe 0 0 0", "chg/mult"),
        ("H 0 0 0\nH 0 0 zero!", "looks wrong is 'H 0 0 zero!'"),
        ("\n--\n".join(f"H 0 0 {i}" for i in range(30)), "give charge and multiplicity of each"),
        ("5 1\n--\n" + "\n--\n".join(f"H 0 0 {i}" for i in range(30)), "give charge and multiplicity of each"),
        ("0 999999999\n--\nH 0 0 0\n--\nH 0 0 5", "give charge and multiplicity of each"),
    ],
)
def test_text_that_is_no_molecule_says_why(text: str, message: str) -> None:
    with pytest.raises(InvalidMolecule, match=message):
        from_text(text)


@pytest.mark.parametrize(
    "text", [" \n" * 200_000 + "x", "H 0 0 0\n" + "\n" * 200_000 + "--\nx!", "1" * 400_000, "/*" * 200_000]
)
@pytest.mark.timeout(30)
def test_text_made_to_keep_a_parser_busy_is_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidMolecule):
        from_text(text)


def test_a_json_file_that_is_no_molecule_says_why() -> None:
    _, errors = read_files([("a.json", b"[1]"), ("b.json", b"{"), ("c.json", b'{"symbols": ["He"]}')])
    assert ["not a JSON object" in errors[0], "not a JSON object" in errors[1], "`geometry`" in errors[2]] == [True] * 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", b"PK\x03\x04 not at all"),
        ("a.zip", zipped({"w.xyz": XYZ * 50})[:-40]),
        ("a.tar.gz", b"nothing"),
        ("a.tar.gz", gzip.compress(b"no tar in it" * 100)),
        ("a.tgz", gzip.compress(tarred({"w.xyz": XYZ}))[:-12]),
        ("a.tar.bz2", bz2.compress(tarred({"w.xyz": XYZ}))[:-5]),
        ("a.txz", lzma.compress(tarred({"w.xyz": XYZ}))[:-5]),
        ("a.txz", b"\xfd7zXZ\x00 garbage follows here"),
    ],
    # Compressed bytes hold the time they were made at: they cannot name a test.
    ids=["no zip", "cut zip", "no gzip", "gzip without tar", "cut tgz", "cut tar.bz2", "cut txz", "no xz"],
)
def test_a_damaged_archive_is_named_and_the_rest_kept(name: str, content: bytes) -> None:
    found, errors = read_files([(name, content), ("w.xyz", XYZ)])
    assert found[name] == []
    assert found["w.xyz"][0][1].hash == HASH
    assert errors[0].startswith(f"Error reading archive '{name}': ")


def test_a_damaged_member_of_a_zip_is_noticed() -> None:
    broken = bytearray(zipped({"w.xyz": XYZ}, zipfile.ZIP_STORED))
    broken[broken.index(b"hydrogen")] ^= 1
    _, errors = read_files([("a.zip", bytes(broken))])
    assert "CRC" in errors[0]


def test_a_zip_with_a_password_is_named() -> None:
    locked = bytearray(zipped({"w.xyz": XYZ}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(header) + flags] |= 1
    _, errors = read_files([("a.zip", bytes(locked))])
    assert "encrypted" in errors[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zip", zipped({"w.xyz": bytes(10**7)})),
        ("a.tgz", gzip.compress(tarred({"w.xyz": bytes(10**7)}))),
        ("a.tbz2", bz2.compress(tarred({"w.xyz": bytes(10**7)}))),
        ("a.txz", lzma.compress(tarred({"w.xyz": bytes(10**7)}))),
        ("a.zip", zipped({f"{i}.xyz": bytes(10**6) for i in range(3)})),
        ("a.json", b" " * 10**7),
    ],
)
def test_a_bomb_is_refused_before_it_is_unpacked(name: str, content: bytes) -> None:
    with pytest.raises(TooLarge, match="unpacks to more than the 2000000 bytes of one upload"):
        read_files([(name, content)], size_limit=2_000_000)


def test_a_zip_that_lies_about_its_sizes_is_still_bounded() -> None:
    bomb = bytearray(zipped({"w.xyz": bytes(10**7)}))
    for header, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = bomb.index(header) + at
        bomb[start : start + 4] = (100).to_bytes(4, "little")
    _, errors = read_files([("a.zip", bytes(bomb))], size_limit=2_000_000)
    assert errors[0].startswith("Error reading archive 'a.zip': ")


def test_more_molecules_than_one_upload_may_hold_are_refused() -> None:
    members = {f"{i}.json": HELIUM for i in range(5)}
    assert len(read_files([("a.zip", zipped(members))], molecule_limit=5)[0]["a.zip"]) == 5
    for archive in (("a.zip", zipped(members)), ("a.tgz", gzip.compress(tarred(members)))):
        with pytest.raises(LimitExceeded, match="more than 4 molecules"):
            read_files([archive], molecule_limit=4)
    with pytest.raises(LimitExceeded, match="more than 1 molecules"):
        read_files([("a.json", HELIUM), ("b.json", HELIUM)], molecule_limit=1)


def test_text_too_long_to_be_read_in_reasonable_time_is_refused() -> None:
    _, errors = read_files([("a.xyz", XYZ + b" " * 600_000)])
    assert "send large molecules as validated QCSchema JSON" in errors[0]


def test_links_and_sparse_files_in_an_archive_are_left_alone() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("passwd.xyz")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        folder = tarfile.TarInfo("folder.xyz")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    assert read_files([("a.tgz", gzip.compress(out.getvalue()))]) == ({"a.tgz": []}, [])
