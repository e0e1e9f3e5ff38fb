"""`qchive submit`."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qchive.worker import programs
from qchive.worker.run import run
from tests.cli.conftest import WATER, Run
from tests.factories import Http, Manager, claim_and_return, raw_bytes

HF = ("--program", "psi4", "--method", "HF", "--basis", "STO-3G")


def spec(api: Http, record_id: int) -> dict[str, Any]:
    return api.record(record_id)["specification"]  # type: ignore[no-any-return]


def test_a_file_becomes_a_record_and_is_found_again(qchive: Run, api: Http, water: Path) -> None:
    first, second = qchive("submit", water, *HF), qchive("submit", water, *HF)
    assert (first.code, second.code) == (0, 0)
    assert "new" in first.out
    assert "H2O" in first.out
    assert "waiting" in first.out
    assert "existing" in second.out
    assert api.statuses([1, 2]) == ["waiting", None]


def test_json_has_one_entry_for_each_molecule_in_order(qchive: Run, api: Http, water: Path, tmp_path: Path) -> None:
    helium = tmp_path / "helium.xyz"
    helium.write_text("1\n\nHe 0 0 0\n")
    told = qchive("submit", helium, water, *HF, "--json").json
    assert [(one["file"], one["formula"], one["new"], one["status"]) for one in told] == [
        ("helium.xyz", "He", True, "waiting"),
        ("water.xyz", "H2O", True, "waiting"),
    ]


def test_an_xyz_file_may_have_several_frames(qchive: Run, api: Http, tmp_path: Path) -> None:
    path = tmp_path / "path.xyz"
    path.write_text(WATER + "1\n\nHe 0 0 0\n\n")
    assert [one["file"] for one in qchive("submit", path, *HF, "--json").json] == ["path-1.xyz", "path-2.xyz"]
    path.write_text(WATER + "and then\n")
    assert qchive("submit", path, *HF).code == 1
    path.write_text(WATER + "9\n\nHe 0 0 0\n")
    assert "path-2.xyz" in qchive("submit", path, *HF).err


def test_the_specification_is_what_was_asked_for(qchive: Run, api: Http, water: Path) -> None:
    options = ("--driver", "gradient", "-k", "maxiter=50", "-k", "scf_type=df", "--protocol", "wavefunction=all")
    (told,) = qchive("submit", water, *HF, *options, "--tag", "Big", "--priority", "high", "--json").json
    asked = spec(api, told["id"])
    assert (asked["program"], asked["driver"], asked["method"], asked["basis"]) == ("psi4", "gradient", "hf", "sto-3g")
    assert asked["keywords"] == {"maxiter": 50, "scf_type": "df"}
    assert asked["protocols"] == {"wavefunction": "all"}
    task = api.record(told["id"], "task")["task"]
    assert (task["tag"], task["priority"]) == ("big", 2)


def test_an_optimization_keeps_the_two_sorts_of_keywords_apart(qchive: Run, api: Http, water: Path) -> None:
    options = ("--optimize", "-k", "maxiter=50", "--optimizer-keyword", "maxiter=9", "--protocol", "trajectory=final")
    (told,) = qchive("submit", water, *HF, *options, "--json").json
    asked = spec(api, told["id"])
    assert (told["kind"], told["optimizer"], told["program"]) == ("optimization", "geometric", "psi4")
    assert asked["keywords"] == {"maxiter": 9}
    assert asked["qc_specification"]["keywords"] == {"maxiter": 50}
    assert asked["protocols"] == {"trajectory": "final"}


def test_charge_and_multiplicity_change_the_molecule(qchive: Run, api: Http, water: Path) -> None:
    (cation,) = qchive("submit", water, *HF, "--charge", "1", "--json").json
    (triplet,) = qchive("submit", water, *HF, "--multiplicity", "3", "--json").json
    molecules = [api.get(f"molecules/{one['molecule_id']}") for one in (cation, triplet)]
    assert [(m["molecular_charge"], m["molecular_multiplicity"]) for m in molecules] == [(1.0, 2), (0.0, 3)]


HYDROXIDE = "2\n-1 1\nO 0 0 0\nH 0 0 0.96\n"


@pytest.mark.parametrize(
    ("text", "options", "charge", "multiplicity"),
    [
        (HYDROXIDE, (), -1.0, 1),
        (HYDROXIDE, ("--multiplicity", "3"), -1.0, 3),
        (HYDROXIDE, ("--charge", "0"), 0.0, 2),
        (HYDROXIDE.replace("-1 1", "-1 1 of something"), (), 0.0, 2),
        (HYDROXIDE.replace("-1 1", "7 1"), ("--charge", "-1", "--multiplicity", "1"), -1.0, 1),
    ],
)
def test_charge_and_multiplicity_may_be_all_of_the_second_line_of_an_xyz_file(
    qchive: Run, api: Http, text: str, options: tuple[str, ...], charge: float, multiplicity: int
) -> None:
    (told,) = qchive("submit", "-", *HF, *options, "--json", stdin=text).json
    molecule = api.get(f"molecules/{told['molecule_id']}")
    assert (molecule["molecular_charge"], molecule["molecular_multiplicity"]) == (charge, multiplicity)


def test_a_second_line_that_cannot_be_charge_and_multiplicity_is_named(qchive: Run, api: Http) -> None:
    ended = qchive("submit", "-", *HF, stdin=HYDROXIDE.replace("-1 1", "12 40"))
    assert ended.code == 1
    assert "second line" in ended.err
    assert "--charge" in ended.err


def test_an_impossible_multiplicity_is_refused_by_name(qchive: Run, api: Http, water: Path) -> None:
    ended = qchive("submit", water, *HF, "--multiplicity", "2")
    assert (ended.code, ended.out) == (1, "")
    assert "water.xyz" in ended.err


@pytest.mark.parametrize("text", [WATER, '{"symbols": ["He"], "geometry": [0, 0, 0]}'], ids=["xyz", "QCSchema"])
def test_a_molecule_may_come_on_stdin(qchive: Run, api: Http, text: str) -> None:
    assert qchive("submit", "-", *HF, stdin=text).code == 0


def test_archives_are_unpacked(qchive: Run, api: Http, water: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "both.tar.gz", "w:gz") as tar:
        tar.add(water, "a/first.xyz")
        (tmp_path / "second.json").write_text('{"symbols": ["He"], "geometry": [0, 0, 0]}')
        tar.add(tmp_path / "second.json", "second.json")
    told = qchive("submit", tmp_path / "both.tar.gz", *HF, "--json").json
    assert [(one["file"], one["formula"]) for one in told] == [("first.xyz", "H2O"), ("second.json", "He")]


def test_a_file_that_is_not_there_is_named(qchive: Run, api: Http, tmp_path: Path) -> None:
    ended = qchive("submit", tmp_path / "nothing.xyz", *HF)
    assert ended.code == 2
    assert "No such file" in ended.err


def test_one_unreadable_file_stops_them_all(qchive: Run, api: Http, water: Path, tmp_path: Path) -> None:
    broken, odd = tmp_path / "broken.xyz", tmp_path / "notes.txt"
    broken.write_text("3\n\nO 0 0 zero\n")
    odd.write_text("hello")
    ended = qchive("submit", water, broken, odd, *HF)
    assert (ended.code, ended.out) == (1, "")
    assert "broken.xyz" in ended.err
    assert "notes.txt" in ended.err
    assert api.post("records/query", {}) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--keyword", "maxiter"), "NAME=VALUE"),
        (("--optimize", "--driver", "hessian"), "--driver"),
        (("--optimizer-keyword", "maxiter=3"), "--optimize"),
        (("--priority", "urgent"), "low, normal or high"),
        (("--driver", "vibrations"), "--driver"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    qchive: Run, api: Http, water: Path, options: tuple[str, ...], said: str
) -> None:
    ended = qchive("submit", water, *HF, *options)
    assert ended.code == 2
    assert said in ended.err
    assert api.post("records/query", {}) == []


def test_a_protocol_that_does_not_exist_is_refused(qchive: Run, api: Http, water: Path) -> None:
    ended = qchive("submit", water, *HF, "--protocol", "wavefunctions=all")
    assert ended.code != 0
    assert "wavefunctions" in ended.err
    assert "Traceback" not in ended.err


def test_waiting_for_what_is_there_already_shows_its_energy(qchive: Run, api: Http, water: Path) -> None:
    qchive("submit", water, *HF)
    claim_and_return(Manager(api))
    (told,) = qchive("submit", water, *HF, "--wait", "--json").json
    assert (told["new"], told["status"], told["energy"]) == (False, "complete", -2.5)


def test_bonds_are_derived_for_force_fields_only(qchive: Run, api: Http, water: Path) -> None:
    (field,) = qchive("submit", water, "-p", "rdkit", "-m", "uff", "--json").json
    (quantum,) = qchive("submit", water, *HF, "--json").json
    assert api.get(f"molecules/{field['molecule_id']}")["connectivity"] == [[0, 1, 1.0], [0, 2, 1.0]]
    assert "connectivity" not in api.get(f"molecules/{quantum['molecule_id']}")


def test_a_single_atom_goes_to_a_force_field(qchive: Run, api: Http) -> None:
    (told,) = qchive("submit", "-", "-p", "rdkit", "-m", "uff", "--json", stdin="1\n\nAr 0 0 0\n").json
    assert "connectivity" not in api.get(f"molecules/{told['molecule_id']}")
    programs.register()
    (task,) = Manager(api, programs={"qcengine": ["1"], "rdkit": ["1"]}).claim()
    success, result = run(task["function"], raw_bytes(task["function_kwargs_compressed"]), {"ncores": 1})
    assert (success, result["return_result"]) == (True, 0.0)


def test_atoms_without_any_bond_are_refused_for_force_fields(qchive: Run, api: Http) -> None:
    far = msgspec.json.encode({"symbols": ["He", "He"], "geometry": [0, 0, 0, 0, 0, 9]}).decode()
    ended = qchive("submit", "-", "-p", "rdkit", "-m", "uff", stdin=far)
    assert ended.code == 1
    assert "connectivity" in ended.err
