"""`qchive demo`, from the command to the numbers, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

HARTREE = {
    ("water", "HF/def2-SVP"): -75.96098399,
    ("water", "MP2/def2-SVP"): -76.16458278,
    ("ethanol", "optimization, GFN2-xTB"): -11.39186737,
}
"""Seen with PySCF 2.14 and tblite 0.8."""


@pytest.fixture(scope="module")
def told() -> Any:
    """What the demo says as JSON, and on stderr."""
    with tempfile.TemporaryDirectory(prefix="qchive-test-") as folder:
        Path(folder).chmod(0o755)
        ended = subprocess.run(
            [sys.executable, "-m", "qchive.cli", "demo", "--json"],
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
            env={**os.environ, "TMPDIR": folder},
        )
        left = list(Path(folder).glob("qchive*"))
    assert ended.returncode == 0, ended.stderr
    assert left == [], "everything is gone afterwards"
    return msgspec.json.decode(ended.stdout) | {"stderr": ended.stderr}


def test_the_results_are_real(told: Any) -> None:
    energies = {(row["molecule"], row["job"]): row["energy"] for row in told["results"]}
    assert {key: energies[key] for key in HARTREE} == {key: pytest.approx(e, abs=2e-6) for key, e in HARTREE.items()}


def test_all_but_one_succeed(told: Any) -> None:
    failed = [row for row in told["results"] if row["status"] != "complete"]
    assert len(told["results"]) >= 12
    assert [(row["status"], row["error"]["error_type"]) for row in failed] == [("error", "convergence_error")]


def test_the_optimization_went_downhill_to_a_minimum(told: Any) -> None:
    (row,) = [row for row in told["results"] if row["steps"]]
    assert row["steps"] > 2
    assert row["largest_gradient"] < 5e-4


def test_the_failed_one_is_repaired_as_the_person_is_told(told: Any) -> None:
    assert told["repaired"]["status"] == "complete"
    assert told["repaired"]["energy"] == pytest.approx(HARTREE["water", "HF/def2-SVP"], abs=1e-7)


def test_progress_is_told_meanwhile(told: Any) -> None:
    assert "It is up at http://127.0.0.1:" in told["stderr"]
    assert "Submitted 12 computations" in told["stderr"]
    assert "11 complete, 1 error" in told["stderr"]
