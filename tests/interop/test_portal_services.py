"""The unmodified `qcportal` adds composite records of each kind, follows them and reads all of them; real programs run
their children."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qcportal import PortalClient
from qcportal.gridoptimization import GridoptimizationKeywords
from qcportal.molecules import Molecule
from qcportal.neb import NEBKeywords
from qcportal.optimization import OptimizationSpecification
from qcportal.reaction import ReactionKeywords
from qcportal.record_models import RecordStatusEnum
from qcportal.singlepoint import QCSpecification
from qcportal.torsiondrive import TorsiondriveKeywords

from qchive.kinds import KINDS
from qchive.local import Local

QC = QCSpecification(program="tblite", driver="energy", method="gfn2-xtb", basis=None)
GRADIENT = QCSpecification(program="tblite", driver="gradient", method="gfn2-xtb", basis=None)
OPT = OptimizationSpecification(program="geometric", qc_specification=QC)

pytestmark = pytest.mark.filterwarnings("ignore")  # the peer's own


@pytest.fixture(scope="module")
def portal() -> Iterator[PortalClient]:
    with tempfile.TemporaryDirectory(prefix="qchive-test-") as folder:
        Path(folder).chmod(0o755)
        with Local(Path(folder) / "data", port=0, workers=2) as archive:
            yield PortalClient(archive.address)


def example(kind: str) -> Any:
    """The molecules of the kind's own example, as the client has them."""

    def given(element: Any) -> Any:
        if isinstance(element, dict):
            return Molecule(**element)
        return [given(one) for one in element] if isinstance(element, list) else element

    return given(KINDS[kind].example[KINDS[kind].inputs.field][0])


def ended(get: Callable[[int], Any], record_id: int, seconds: float = 200) -> Any:
    """The record once it is complete."""
    deadline = time.monotonic() + seconds
    while True:
        record = get(record_id)
        if record.status == RecordStatusEnum.complete:
            return record
        assert record.status in (RecordStatusEnum.waiting, RecordStatusEnum.running), record.error
        assert record.service is not None or get(record_id).status == RecordStatusEnum.complete
        assert time.monotonic() < deadline, record.children_status
        time.sleep(0.2)


def test_torsiondrive(portal: PortalClient) -> None:
    keywords = TorsiondriveKeywords(dihedrals=[(0, 1, 2, 3)], grid_spacing=[90])
    meta, (record_id,) = portal.add_torsiondrives([example("torsiondrive")], "torsiondrive", OPT, keywords)
    assert meta.success
    record = ended(portal.get_torsiondrives, record_id)
    assert set(record.final_energies) == {(-90,), (0,), (90,), (180,)}
    assert set(record.minimum_optimizations) == set(record.final_energies)
    for key, minimum in record.minimum_optimizations.items():
        energies = [one.energies[-1] for one in record.optimizations[key]]
        assert minimum.energies[-1] == min(energies) == record.final_energies[key]
    assert len(record.initial_molecules) == 1
    assert "torsiondrive" in record.provenance.creator
    assert "Starting service" in record.stdout
    (found,) = portal.query_torsiondrives(initial_molecule_id=record.initial_molecules[0].id)
    assert found.id == record_id


def test_gridoptimization(portal: PortalClient) -> None:
    scans = [
        {"type": "distance", "indices": [0, 1], "steps": [1.35, 1.45, 1.55], "step_type": "absolute"},
    ]
    molecule = Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, 1.4])
    keywords = GridoptimizationKeywords(scans=scans, preoptimization=True)
    meta, (record_id,) = portal.add_gridoptimizations([molecule], "gridoptimization", OPT, keywords)
    assert meta.success
    record = ended(portal.get_gridoptimizations, record_id)
    assert set(record.final_energies) == {(0,), (1,), (2,), "preoptimization"}
    assert record.preoptimization.status == RecordStatusEnum.complete
    assert record.starting_molecule.measure([0, 1]) == pytest.approx(
        record.preoptimization.final_molecule.measure([0, 1])
    )
    assert record.starting_grid in [(1,), [1]]
    assert record.initial_molecule.symbols.tolist() == ["H", "H"]


def test_reaction(portal: PortalClient) -> None:
    hydrogen = Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, 1.4])
    water = Molecule(symbols=["O", "H", "H"], geometry=[0, 0, 0.2, 0, 1.5, -0.9, 0, -1.5, -0.9])
    peroxide = example("torsiondrive")[0]
    sides = [(2.0, water), (-1.0, peroxide), (-1.0, hydrogen)]
    meta, (record_id,) = portal.add_reactions([sides], "reaction", QC, OPT, ReactionKeywords())
    assert meta.success
    record = ended(portal.get_reactions, record_id)
    total = sum(c.coefficient * c.singlepoint_record.properties["return_energy"] for c in record.components)
    assert record.total_energy == pytest.approx(total)
    for component in record.components:
        final = component.optimization_record.final_molecule_id
        assert component.singlepoint_record.molecule_id == final
        assert component.molecule.id == component.molecule_id


def test_manybody(portal: PortalClient) -> None:
    hf = QCSpecification(program="pyscf", driver="energy", method="hf", basis="sto-3g")
    meta, (record_id,) = portal.add_manybodys([example("manybody")], "qcmanybody", {1: hf, 2: hf}, ["nocp", "cp"], {})
    assert meta.success
    record = ended(portal.get_manybodys, record_id)
    assert record.initial_molecule.id == record.initial_molecule_id
    assert "cp_corrected_interaction_energy" in record.properties["results"]
    for cluster in record.clusters:
        assert cluster.singlepoint_record.status == RecordStatusEnum.complete
        assert cluster.molecule.id == cluster.molecule_id
        assert set(cluster.fragments) <= set(cluster.basis)


def test_neb(portal: PortalClient) -> None:
    keywords = NEBKeywords(images=7)
    meta, (record_id,) = portal.add_nebs([example("neb")], "geometric", GRADIENT, None, keywords)
    assert meta.success
    record = ended(portal.get_nebs, record_id)
    assert len(record.initial_chain) == 7
    last = record.singlepoints[max(record.singlepoints)]
    assert len(last) == len(record.final_chain) == 7
    highest = max(last, key=lambda one: one.properties["return_energy"])
    assert record.result.get_hash() == highest.molecule.get_hash()
    assert record.optimizations == {}
    assert record.properties["converged"]


@pytest.mark.parametrize("kind", ["torsiondrive", "gridoptimization", "reaction", "manybody", "neb"])
def test_everything_at_once(portal: PortalClient, kind: str) -> None:
    """Whatever runs or has run before, all that there is of a record fits the client's models."""
    found = list(portal.query_records(record_type=[kind], include=["**"]))
    assert found
    for record in found:
        assert record.children_errors == []
        record.propagate_client(None, None)
        assert record.offline
        assert record.compute_history[-1].status == RecordStatusEnum.complete
        assert record.comments == []
