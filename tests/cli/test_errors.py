"""`qchive errors`: what went wrong, over all records in error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import qchive
from qchive.diagnosis import MEANING, ErrorClass
from qchive.server.settings import AutoReset, Settings
from tests.cli.conftest import Run
from tests.factories import Http, claimed, failure


def fail(api: Http, *messages: str, error_type: str = "unknown_error") -> list[int]:
    """Ids of new records that fail with these messages."""
    manager, tasks = claimed(api, *["singlepoint"] * len(messages))
    errors = [{"error_type": error_type, "error_message": m} for m in messages]
    manager.give({t["id"]: failure(error=e) for t, e in zip(tasks, errors, strict=True)})
    return [t["record_id"] for t in tasks]


def test_nothing_failed(qchive: Run, here: Any) -> None:
    ended = qchive("errors")
    assert (ended.code, ended.out) == (0, "No failed records that fit.\n")
    assert qchive("errors", "--json").json == []


def test_groups_are_shown_with_what_to_do_about_them(qchive: Run, api: Http) -> None:
    ids = fail(api, "SCF not converged in 7 cycles", "SCF not converged in 8 cycles", "out of memory")
    ended = qchive("errors")
    lines = ended.out.splitlines()
    (first,) = [line for line in lines if "SCF not converged" in line]
    assert first.split()[:3] == ["2", "convergence", "psi4"]
    fingerprint = first.split()[-1]
    assert f"qchive records show {ids[1]}" in ended.err
    assert f"qchive records reset --fingerprint {fingerprint}" in ended.err
    for told in (ErrorClass.convergence, ErrorClass.memory):
        assert " ".join(MEANING[told]) in ended.err
    assert MEANING[ErrorClass.input][0] not in ended.err


def test_the_same_as_json(qchive: Run, api: Http) -> None:
    ids = fail(api, "out of memory")
    (group,) = qchive("errors", "--json").json
    assert (group["count"], group["record_ids"], group["error_class"]) == (1, ids, "memory")
    assert set(group) == {
        "fingerprint", "error_class", "error_type", "message", "program", "count", "record_ids", "first_seen",
        "last_seen",
    }  # fmt: skip


def test_options_say_which_records(qchive: Run, api: Http) -> None:
    fail(api, "out of memory", "SCF not converged", "something odd")

    def messages(*options: str) -> set[str]:
        return {group["message"] for group in qchive("errors", "--json", *options).json}

    assert messages("--error-class", "memory", "--error-class", "unknown") == {"out of memory", "something odd"}
    assert messages("--error-text", "scf") == {"SCF not converged"}
    assert messages("--program", "xtb") == set()
    assert len(messages("--program", "psi4", "--method", "hf", "--basis", "sto-3g", "--kind", "singlepoint")) == 3
    assert messages("--tag", "nowhere") == set()
    (odd,) = [g for g in qchive("errors", "--json").json if g["message"] == "something odd"]
    assert messages("--fingerprint", odd["fingerprint"]) == {"something odd"}
    ended = qchive("errors", "--limit", 2)
    assert "the 2 most frequent" in ended.err


def test_a_class_that_does_not_exist_is_refused(qchive: Run, here: Any) -> None:
    ended = qchive("errors", "--error-class", "nonsense")
    assert ended.code == 2
    assert "wall_time" in ended.err


def test_long_messages_are_cut_for_people_only(qchive: Run, api: Http) -> None:
    fail(api, "one\ntwo\n" + "x" * 250 + "\nfour")
    assert "x" * 250 in qchive("errors", "--json").json[0]["message"]
    assert "four" not in qchive("errors").out


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A whole archive with a worker and automatic resets."""
    settings = Settings(auto_reset=AutoReset(enabled=True, unknown_error=1))
    with qchive.Local(workers=1, settings=settings) as archive, archive.client() as client:
        monkeypatch.setenv("QCHIVE_ADDRESS", archive.address)
        yield client


def test_real_failures_are_grouped_and_only_those_that_may_pass_are_tried_again(qchive: Run, real: Any) -> None:
    molecules = [_hydrogen(distance) for distance in (0.7, 0.8, 0.9)]
    _, stuck = real.add_singlepoints(molecules, "pyscf", "energy", "hf", "6-31g", keywords={"max_cycle": 1})
    _, basis = real.add_singlepoints(molecules[:2], "pyscf", "energy", "hf", "no-such-basis")
    _, odd = real.add_optimizations(
        molecules[0], "geometric", {"program": "tblite", "method": "GFN2-xTB", "basis": None}, {"coordsys": "nonsense"}
    )
    records = real.wait([*stuck, *basis, *odd], timeout=200)
    assert {record.status.value for record in records} == {"error"}
    assert [len(record.compute_history) for record in records] == [1, 1, 1, 1, 1, 2]
    found = qchive("errors", "--json").json
    assert [(g["error_class"], g["program"], g["count"]) for g in found] == [
        ("convergence", "pyscf", 3),
        ("input", "pyscf", 2),
        ("unknown", "tblite", 1),
    ]
    assert found[2]["message"] == "KeyError: 'nonsense'"


def _hydrogen(distance: float) -> Any:
    return qchive.Molecule.from_data(f"H 0 0 0\nH 0 0 {distance}")
