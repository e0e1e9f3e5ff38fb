"""Real computations in a real archive: whatever is killed in the middle, every record ends with its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from qchive import PortalClient, RecordStatusEnum
from tests.end_to_end.archive_up import Up, archive_up

WATER = {"symbols": ["O", "H", "H"], "geometry": [0.0, 0.0, 0.0, 0.0, 1.43, 1.1, 0.0, -1.43, 1.1]}


def stretched(n: int) -> dict[str, object]:
    """Water, a little different each time (Bohr)."""
    geometry = [0.0, 0.0, 0.01 * n, 0.0, 1.43, 1.1, 0.0, -1.43, 1.1]
    return {**WATER, "geometry": geometry}


def submit(client: PortalClient, n: int) -> list[int]:
    """Computations of a second or so each."""
    molecules = [stretched(i) for i in range(n)]
    return client.add_singlepoints(molecules, "pyscf", "gradient", "b3lyp", "6-31g")[1]


def wait_until_some_run(client: PortalClient, ids: list[int]) -> None:
    """Wait until the worker is at it."""
    for _ in range(3000):
        if any(r.status is RecordStatusEnum.running for r in client.get_records(ids)):
            return
    raise AssertionError("nothing runs")


def kill_computing_process(up: Up) -> None:
    """Kill -9 one of the processes that compute."""
    up.child("worker").children()[0].kill()


def test_an_optimization_and_its_trajectory_arrive(open_folder: Path) -> None:
    with archive_up(open_folder, "--workers", "1") as up, PortalClient(up.address) as client:
        _, ids = client.add_optimizations(
            [WATER], "geometric", {"program": "tblite", "method": "gfn2-xtb", "basis": None}
        )
        record = client.wait(ids, timeout=120, progress=False)[0]
        assert record.status is RecordStatusEnum.complete
        assert record.energies == pytest.approx([step.properties["return_energy"] for step in record.trajectory])
        assert record.energies[-1] == pytest.approx(-5.070544, abs=1e-5)
        assert record.final_molecule.get_molecular_formula() == "H2O"
        assert record.trajectory[-1].specification.program == "tblite"


@pytest.mark.parametrize("victim", ["worker", "server", "postgres"])
def test_killed_while_computing(open_folder: Path, victim: str) -> None:
    with archive_up(open_folder, "--workers", "2") as up, PortalClient(up.address) as client:
        ids = submit(client, 8)
        wait_until_some_run(client, ids)
        up.kill(victim)
        records = client.wait(ids, timeout=200, progress=False)
        assert {r.status for r in records} == {RecordStatusEnum.complete}, [r.error for r in records]
        assert all(len(r.properties["return_result"]) == 9 for r in records)


def test_a_computing_process_killed_fails_only_its_own_task(open_folder: Path) -> None:
    with archive_up(open_folder, "--workers", "2") as up, PortalClient(up.address) as client:
        ids = submit(client, 6)
        wait_until_some_run(client, ids)
        kill_computing_process(up)
        records = client.wait(ids, timeout=200, progress=False)
        failed = [r for r in records if r.status is RecordStatusEnum.error]
        assert len(failed) <= 1
        for record in failed:
            assert "kill" in record.error["error_message"].lower() or "signal" in record.error["error_message"].lower()
        client.reset_records([r.id for r in failed])
        again = client.wait(ids, timeout=200, progress=False)
        assert {r.status for r in again} == {RecordStatusEnum.complete}
