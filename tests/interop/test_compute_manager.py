"""The peer's compute manager, unmodified, works for our server: real computations, also while the server is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qcportal import PortalClient
from qcportal.molecules import Molecule
from qcportal.record_models import RecordStatusEnum
from qcportal.singlepoint import QCSpecification

from tests.archive import prepared
from tests.interop.peers import ComputeManager, ServerProcess, compute_manager, portal, server_process, wait_until

WATER = Molecule(
    symbols=["O", "H", "H"],
    geometry=[0.0, 0.0, -0.1294, 0.0, -1.4941, 1.0274, 0.0, 1.4941, 1.0274],
    connectivity=[(0, 1, 1.0), (0, 2, 1.0)],
)
UFF = {"program": "rdkit", "method": "uff", "basis": None}
RELAX = QCSpecification(driver="deferred", **UFF)


@pytest.fixture
def server(databases: Any) -> Iterator[ServerProcess]:
    with prepared(databases) as conninfo, server_process(conninfo) as server:
        yield server


@pytest.fixture
def manager(server: ServerProcess, open_folder: Path) -> Iterator[ComputeManager]:
    with compute_manager(server.address, open_folder, tags=["interop"]) as manager:
        yield manager


def water(stretch: float) -> Molecule:
    """Water with its hydrogens apart by this factor: another molecule each time."""
    geometry = WATER.geometry.copy()
    geometry[1:, 1] *= stretch
    return Molecule(symbols=WATER.symbols, geometry=geometry, connectivity=WATER.connectivity)


def finished(client: PortalClient, ids: list[int], manager: ComputeManager) -> None:
    def all_finished() -> bool:
        assert manager.running, manager.told()
        records = client.get_records(ids)
        return not any(r.status in (RecordStatusEnum.waiting, RecordStatusEnum.running) for r in records)

    wait_until(all_finished, manager.told)


def test_a_single_point_an_optimization_and_a_failure_come_back(server: ServerProcess, manager: ComputeManager) -> None:
    client = portal(server.address)
    _, (energy,) = client.add_singlepoints(WATER, driver="energy", **UFF, compute_tag="interop")
    _, (wrong,) = client.add_singlepoints(WATER, "rdkit", "energy", "no_such_method", None, compute_tag="interop")
    _, (relaxed,) = client.add_optimizations(water(1.1), "geometric", RELAX, {"maxiter": 60}, compute_tag="interop")
    finished(client, [energy, wrong, relaxed], manager)

    point = client.get_singlepoints(energy)
    assert point.status == RecordStatusEnum.complete, point.error
    assert point.return_result == pytest.approx(point.properties["return_energy"])
    assert point.provenance.creator == "rdkit"
    assert point.molecule.get_hash() == WATER.get_hash()
    assert point.task is None

    failed = client.get_singlepoints(wrong)
    assert failed.status == RecordStatusEnum.error
    assert "UFF" in failed.error["error_message"]
    assert failed.task.compute_tag == "interop"

    path = client.get_optimizations(relaxed)
    assert path.status == RecordStatusEnum.complete, path.error
    assert path.energies[-1] < path.energies[0]
    assert [step.properties["return_energy"] for step in path.trajectory] == pytest.approx(path.energies)
    assert path.trajectory[-1].molecule_id == path.final_molecule_id
    assert path.final_molecule.geometry.shape == (3, 3)
    assert "geometric" in path.stdout.lower()

    assert client.reset_records(wrong).n_updated == 1
    assert client.cancel_records(wrong).n_updated == 1
    manager.stop()
    (known,) = client.query_managers(cluster="interop")
    assert known.status == "inactive"
    assert (known.successes, known.failures, known.rejected) == (2, 1, 0)
    assert {point.manager_name, failed.manager_name, path.manager_name} == {known.name}


def test_nothing_is_lost_while_the_server_is_away(server: ServerProcess, manager: ComputeManager) -> None:
    client = portal(server.address)
    molecules = [water(1 + n / 50) for n in range(4)]
    _, ids = client.add_singlepoints(molecules, driver="gradient", **UFF, compute_tag="interop")
    wait_until(lambda: any(client.query_records(status="running")), manager.told)
    server.kill()
    # The manager has found out, with a result in its hands.
    wait_until(lambda: "deferr" in manager.told().lower(), manager.told)
    server.start()
    finished(client, ids, manager)
    records = client.get_singlepoints(ids)
    assert {r.status for r in records} == {RecordStatusEnum.complete}
    assert all(len(r.compute_history) == 1 for r in records)
    assert all(len(r.return_result) == 9 for r in records)
