"""Composite records on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from qchive import PortalClient
from tests.cli.conftest import WATER, Run
from tests.composing import OPTIMIZER, grid_scan, peroxide, run, stretch, torsion_scan, turn
from tests.factories import SPEC, Http, Manager, add, claim_and_return, make_molecule

REACTION: dict[str, Any] = {"kind": "reaction", "specification": {"singlepoint_specification": SPEC}}


@pytest.fixture
def scan(here: Any, api: Http) -> int:
    """A grid optimization that has computed one of its three points."""
    with PortalClient(here.address) as client:
        record_id = grid_scan(client, stretch(2.6, 2.75, 2.9))
    run(here, api, rounds=2)
    return record_id


def test_show_says_how_far_a_record_is(qchive: Run, scan: int) -> None:
    ended = qchive("records", "show", scan)
    assert ended.code == 0, ended.err
    for text in ("gridoptimization", "grid", "1 of 3", "lowest energy", "2 complete, 2 waiting", "geometric", "psi4"):
        assert text in ended.out, text
    (told,) = qchive("records", "show", scan, "--json").json
    assert told["progress"]["stage"] == "grid"
    assert told["progress"]["children"] == {"complete": 2, "waiting": 2}
    assert (told["tag"], told["priority"]) == ("*", "normal")


def test_other_records_have_no_progress(qchive: Run, api: Http) -> None:
    (record_id,) = add(api)
    (told,) = qchive("records", "show", record_id, "--json").json
    assert told["progress"] is None


def test_its_log_can_be_read_while_it_runs(qchive: Run, scan: int) -> None:
    ended = qchive("records", "output", scan)
    assert ended.code == 0
    assert "gridoptimization" in ended.out


def test_lists_and_status_know_composite_kinds(qchive: Run, here: Any, api: Http, scan: int) -> None:
    with PortalClient(here.address) as client:
        client.add_reactions([[(2.0, make_molecule())]], "reaction", SPEC)
        torsion_scan(client)
    run(here, api)
    rows = {row["kind"]: row for row in qchive("records", "list", "--json", "--limit", 100).json}
    assert (rows["gridoptimization"]["optimizer"], rows["gridoptimization"]["program"]) == ("geometric", "psi4")
    assert rows["gridoptimization"]["formula"] == "H2O2"
    assert rows["reaction"]["energy"] == -5.0
    assert rows["torsiondrive"]["formula"] is None
    scan_id = rows["torsiondrive"]["id"]
    for words in (("records", "list", "--limit", 100), ("status",), ("records", "show", scan_id)):
        ended = qchive(*words)
        assert ended.code == 0, ended.err
        assert "torsiondrive" in ended.out


# --- adding ------------------------------------------------------------------------------------------------------


def test_a_file_says_what_to_compute(qchive: Run, api: Http, tmp_path: Path) -> None:
    (tmp_path / "water.xyz").write_text(WATER)
    told = REACTION | {"stoichiometries": [[[-2.0, make_molecule()], [1.0, "water.xyz"]]]}
    path = tmp_path / "reaction.yaml"
    path.write_text(yaml.safe_dump(told))
    first, second = qchive("add", path, "--tag", "t", "--json"), qchive("add", path)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    (one,) = first.json
    assert (one["kind"], one["new"], one["file"]) == ("reaction", True, "reaction.yaml")
    assert "existing" in second.out
    components = api.get(f"records/reaction/{one['id']}/components")
    assert {c["coefficient"]: c["molecule"]["symbols"] for c in components} == {
        -2.0: ["He", "He"],
        1.0: ["O", "H", "H"],
    }
    assert api.get(f"records/reaction/{one['id']}/service")["tag"] == "t"


def test_a_file_of_molecules_stands_for_all_of_them(qchive: Run, api: Http, tmp_path: Path) -> None:
    (tmp_path / "two.xyz").write_text("1\n\nHe 0 0 0\n1\n\nNe 0 0 0\n")
    path = tmp_path / "points.json"
    path.write_text(json.dumps({"kind": "singlepoint", "specification": SPEC, "molecules": "two.xyz"}))
    assert [one["formula"] for one in qchive("add", path, "--json").json] == ["He", "Ne"]
    told = {
        "kind": "torsiondrive",
        "specification": {
            "optimization_specification": OPTIMIZER,
            "keywords": {"dihedrals": [[0, 1, 2, 3]], "grid_spacing": [90]},
        },
        "initial_molecules": [["peroxides.xyz"]],
    }
    frames = [peroxide(angle) for angle in (90.0, 120.0)]
    (tmp_path / "peroxides.xyz").write_text("".join(map(_xyz, frames)))
    path.write_text(json.dumps(told))
    (one,) = qchive("add", path, "--json").json
    assert len(api.get(f"records/torsiondrive/{one['id']}/initial_molecules")) == 2


def _xyz(molecule: dict[str, Any]) -> str:
    bohr, at = 0.529177210903, molecule["geometry"]
    lines = [
        f"{symbol} " + " ".join(f"{x * bohr:.8f}" for x in at[3 * n : 3 * n + 3])
        for n, symbol in enumerate(molecule["symbols"])
    ]
    return f"{len(lines)}\n\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"specification": {}}, "say which kind it is: singlepoint, optimization"),
        ({"kind": "servicesubtask"}, "say which kind it is"),
        ([], "say which kind it is"),
        (REACTION, "kind, specification and stoichiometries, and nothing else"),
        (REACTION | {"stoichiometries": [], "tag": "x"}, "and nothing else"),
        (REACTION | {"stoichiometries": [[[1.0, "gone.xyz"]]]}, "gone.xyz"),
    ],
)
def test_a_file_that_makes_no_sense_is_told(qchive: Run, api: Http, tmp_path: Path, told: Any, said: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(told))
    ended = qchive("add", path)
    assert ended.code == 2
    assert "".join(said.split()) in "".join(ended.err.replace("│", "").split())


def test_what_cannot_be_read_is_told(qchive: Run, api: Http, tmp_path: Path) -> None:
    assert qchive("add", tmp_path / "gone.yaml").code == 2
    path = tmp_path / "broken.yaml"
    path.write_text("kind: [")
    assert "neither YAML nor JSON" in " ".join(qchive("add", path).err.replace("│", " ").split())


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_a_scan_is_drawn_into_a_file(qchive: Run, scan: int, tmp_path: Path, ending: str, begins: bytes) -> None:
    path = tmp_path / f"scan.{ending}"
    ended = qchive("records", "plot", scan, "--out", path)
    assert ended.code == 0, ended.err
    assert path.read_bytes().startswith(begins)
    assert qchive("records", "plot", scan, "--out", path).code == 2
    assert qchive("records", "plot", scan, "--out", path, "--overwrite").code == 0


def test_dimensions_of_a_scan_can_be_chosen(qchive: Run, here: Any, api: Http, tmp_path: Path) -> None:
    angle = {"type": "angle", "indices": [0, 1, 2], "steps": [95.0, 100.0], "step_type": "absolute"}
    with PortalClient(here.address) as client:
        record_id = grid_scan(client, stretch(2.75), turn(120.0, 150.0), angle)
    run(here, api)
    path = tmp_path / "scan.png"
    ended = qchive("records", "plot", record_id, "-o", path)
    assert ended.code == 1
    assert "--axis 0 --axis 1" in ended.err
    assert qchive("records", "plot", record_id, "-o", path, "--axis", 1, "--axis", 2).code == 0


def test_what_has_no_picture_is_told(qchive: Run, api: Http, tmp_path: Path) -> None:
    waiting, single = *add(api, kind="optimization"), *add(api)
    path = tmp_path / "x.png"
    assert "has no step yet" in qchive("records", "plot", waiting, "-o", path).err
    assert "no picture of a singlepoint" in qchive("records", "plot", single, "-o", path).err
    assert not path.exists()
    claim_and_return(Manager(api))
    assert "does not end in .png" in " ".join(qchive("records", "plot", waiting, "-o", tmp_path / "x.gif").err.split())
    assert qchive("records", "plot", waiting, "-o", tmp_path / "no" / "x.png").code == 2
