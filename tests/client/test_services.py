"""Composite records as people hold them: their children fetched when looked at, or with the record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qchive import Molecule, PortalClient, RecordStatusEnum, errors
from tests import composing
from tests.archive import Archive
from tests.composing import GRADIENT, OPTIMIZER, band, energy, grid_scan, peroxide, run, stretch, torsion_scan, turn
from tests.factories import SPEC, Http, Manager, claim_and_return, failure, http, make_molecule
from tests.ticking import tick

COMPLETE = RecordStatusEnum.complete


@pytest.fixture
def api(archive: Archive) -> Iterator[Http]:
    with http(archive.address) as made:
        yield made


@pytest.fixture(params=["application/json", "application/msgpack"])
def client(archive: Archive, request: pytest.FixtureRequest) -> Iterator[PortalClient]:
    with PortalClient(archive.address) as made:
        made.encoding = request.param
        yield made


def both_ways(client: PortalClient, record_id: int, *include: str) -> Iterator[Any]:
    """The record as it is fetched bit by bit, and as it comes at once, without a client to fetch more with."""
    yield client.get_records(record_id)
    record = client.get_records(record_id, include=include or ["**"])
    record._client = None
    yield record


def test_a_torsion_drive_shows_its_scan(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = torsion_scan(client)
    run(archive, api)
    for record in both_ways(client, record_id):
        assert record.status is COMPLETE
        assert record.is_service
        (molecule,) = record.initial_molecules
        assert [molecule.id] == record.initial_molecules_ids
        assert list(molecule.symbols) == ["H", "O", "O", "H"]
        assert set(record.optimizations) == {(a,) for a in range(-120, 181, 60)}
        for point, tries in record.optimizations.items():
            assert {r.status for r in tries} == {COMPLETE}
            best = record.minimum_optimizations[point]
            assert best.id in [r.id for r in tries]
            assert best.energies[-1] == record.final_energies[point] == pytest.approx(energy(*point))
            assert best.specification.keywords["constraints"]["set"][0]["value"] == point[0]
        assert record.service is None
        assert record.compute_history[-1].provenance.creator == "torsiondrive"


def test_only_the_lowest_of_each_point_can_be_fetched(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = torsion_scan(client)
    run(archive, api)
    record = client.get_torsiondrives(record_id, include=["minimum_optimizations"])
    record._client = None
    assert record.final_energies[(120,)] == pytest.approx(energy(120))
    with pytest.raises(errors.Offline):
        _ = record.optimizations
    with pytest.raises(errors.Offline):
        _ = record.initial_molecules


def test_a_grid_optimization_shows_its_scan(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = grid_scan(client, stretch(2.6, 2.75, 2.9), turn(90.0, 120.0))
    run(archive, api)
    for record in both_ways(client, record_id):
        assert record.status is COMPLETE
        assert record.starting_grid == [1, 1]
        assert record.starting_molecule.id == record.starting_molecule_id
        assert record.preoptimization.final_molecule_id == record.starting_molecule_id
        assert record.initial_molecule.id == record.initial_molecule_id
        points = {(i, j) for i in range(3) for j in range(2)}
        assert set(record.optimizations) == set(record.final_energies) == {*points, "preoptimization"}
        assert record.final_energies[2, 0] == pytest.approx(energy(90.0, distance=2.9))
        assert record.optimizations[2, 0].energies[-1] == record.final_energies[2, 0]


def test_a_grid_optimization_may_begin_as_it_is(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = grid_scan(client, stretch(2.6, 2.75), preoptimization=False)
    run(archive, api)
    record = client.get_gridoptimizations(record_id)
    assert record.preoptimization is None
    assert record.starting_molecule_id == record.initial_molecule_id


def test_a_reaction_shows_its_molecules_and_what_computed_them(
    archive: Archive, api: Http, client: PortalClient
) -> None:
    sides = [(-1.0, make_molecule()), (2.0, make_molecule(symbols=("H", "H")))]
    _, (record_id,) = client.add_reactions([sides], "reaction", SPEC, OPTIMIZER)
    run(archive, api)
    for record in both_ways(client, record_id):
        assert record.status is COMPLETE
        assert record.total_energy == pytest.approx(-2.5)
        assert {c.coefficient: list(c.molecule.symbols) for c in record.components} == {
            -1.0: ["He", "He"],
            2.0: ["H", "H"],
        }
        for part in record.components:
            assert part.molecule.id == part.molecule_id
            assert part.singlepoint_record.id == part.singlepoint_id
            assert part.optimization_record.id == part.optimization_id
            assert part.singlepoint_record.molecule_id == part.optimization_record.final_molecule_id
    assert "total energy" in record._repr_html_()


def test_what_is_not_computed_has_no_record(archive: Archive, client: PortalClient) -> None:
    _, (record_id,) = client.add_reactions([[(1.0, make_molecule())]], "reaction", SPEC, None, {})
    (part,) = client.get_reactions(record_id, include=["components"]).components
    assert (part.singlepoint_id, part.singlepoint_record, part.optimization_record) == (None, None, None)
    tick(archive.conninfo)
    (part,) = client.get_reactions(record_id).components
    assert part.singlepoint_record.status is RecordStatusEnum.waiting
    assert part.optimization_record is None


def test_children_come_with_the_same_parts(archive: Archive, api: Http, client: PortalClient) -> None:
    _, (record_id,) = client.add_reactions([[(1.0, make_molecule())]], "reaction", None, OPTIMIZER)
    run(archive, api)
    record = client.get_reactions(record_id, include=["components", "initial_molecule", "trajectory"])
    (part,) = record.components
    child = part.optimization_record
    child._client = None
    assert list(child.initial_molecule.symbols) == ["He", "He"]
    assert [step.record_type for step in child.trajectory] == ["singlepoint"] * 2
    with pytest.raises(errors.Offline):
        _ = child.final_molecule


def test_a_many_body_expansion_shows_its_clusters(archive: Archive, api: Http, client: PortalClient) -> None:
    geometry = [0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 10.0]
    cluster = Molecule(symbols=["He"] * 3, geometry=geometry, fragments=[[0], [1], [2]])
    _, (record_id,) = client.add_manybodys(cluster, "qcmanybody", {1: SPEC, 2: SPEC}, "nocp", {})
    run(archive, api)
    for record in both_ways(client, record_id):
        assert record.status is COMPLETE, record.error
        assert record.initial_molecule.id == record.initial_molecule_id
        assert sorted(c.fragments for c in record.clusters) == [[1], [1, 2], [1, 3], [2], [2, 3], [3]]
        for part in record.clusters:
            assert part.singlepoint_record.id == part.singlepoint_id
            assert len(part.molecule.symbols) == len(part.basis)
            assert part.singlepoint_record.molecule_id == part.molecule_id
        assert record.properties["ret_energy"] is not None


def test_an_elastic_band_shows_its_chains(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = band(client)
    run(archive, api)
    for record in both_ways(client, record_id):
        assert record.status is COMPLETE, record.error
        assert [m.id for m in record.initial_chain] == record.initial_chain_molecule_ids
        assert [len(images) for images in record.singlepoints.values()] == [7] * len(record.singlepoints)
        assert record.final_chain == record.singlepoints[max(record.singlepoints)]
        highest = max(record.final_chain, key=lambda image: image.properties["return_energy"])
        assert record.result.id == record.neb_result.id == highest.molecule_id
        assert record.optimizations == {}
        assert record.ts_hessian is None
        assert record.ts_optimization is None


def test_an_elastic_band_may_find_its_transition_state(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = band(client, optimize_ts=True, optimize_endpoints=True, maximum_cycle=2)
    run(archive, api)
    for record in both_ways(client, record_id):
        assert record.status is COMPLETE, record.error
        assert set(record.optimizations) == {"initial", "final", "transition"}
        assert record.ts_optimization.id == record.optimizations["transition"].id
        assert record.ts_hessian.specification.driver == "hessian"
        assert all(len(images) == 7 for images in record.singlepoints.values())


def test_an_elastic_band_has_no_result_before_its_end(client: PortalClient) -> None:
    record = client.get_nebs(band(client))
    with pytest.raises(ValueError, match="when it is complete"):
        _ = record.result
    with pytest.raises(errors.NotFound, match="can't be found"):
        _ = record.neb_result
    with pytest.raises(ValueError, match="no chain yet"):
        _ = record.final_chain


def test_progress_says_how_far_a_record_is(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = grid_scan(client, stretch(2.6, 2.75, 2.9))
    record = client.get_records(record_id)
    assert record.progress.stage is None
    run(archive, api, rounds=2)
    assert (record.progress.stage, record.progress.done, record.progress.total) == ("grid", 1, 3)
    assert record.progress.minimum == pytest.approx(energy(115.0))
    assert record.progress.children == {"complete": 2, "waiting": 2}
    assert "done: 1 of 3" in str(record.progress)
    assert "2 complete, 2 waiting" in record.progress._repr_html_()
    html = client.get_records(record_id)._repr_html_()
    for text in ("grid", "1 of 3", "2 complete", "geometric"):
        assert text in html
    included = client.get_gridoptimizations(record_id, include=["progress"])
    included._client = None
    assert included.progress.total == 3
    assert "1 of 3" in included._repr_html_()
    run(archive, api)
    ended = client.get_records(record_id)
    assert (ended.progress.stage, ended.progress.done, ended.progress.batch) == ("done", 3, None)
    assert ended.progress.children == {"complete": 4}
    assert "3 of 3" in ended.progress._repr_html_()


def test_a_running_record_shows_service_children_and_log(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = torsion_scan(client)
    record = client.get_records(record_id)
    assert record.service.tag == "*"
    assert record.task is None
    tick(archive.conninfo)
    record = client.get_records(record_id)
    assert record.status is RecordStatusEnum.running
    assert record.children_status == {RecordStatusEnum.waiting: 1}
    assert [d.extras["position"] for d in record.service.dependencies] == [0]
    assert "torsiondrive" in record.stdout
    manager = Manager(api)
    (task,) = manager.claim()
    manager.give_one(task["id"], failure())
    tick(archive.conninfo)
    record = client.get_records(record_id)
    assert record.status is RecordStatusEnum.error
    assert [child.id for child in record.children_errors] == [task["record_id"]]
    assert str(task["record_id"]) in record.error["error_message"]


def test_records_that_are_no_services_have_no_progress(api: Http, client: PortalClient) -> None:
    _, (record_id,) = client.add_singlepoints(make_molecule(), **SPEC)
    assert client.get_records(record_id).progress is None


def test_each_kind_is_found_by_what_it_is_computed_with(client: PortalClient) -> None:
    pair = make_molecule(fragments=[[0], [1]], fragment_charges=[0.0, 0.0], fragment_multiplicities=[1, 1])
    scan = torsion_scan(client)
    grid = grid_scan(client, stretch(2.75))
    _, (reaction,) = client.add_reactions([[(1.0, pair)]], "reaction", SPEC, None)
    _, (expansion,) = client.add_manybodys([pair], "qcmanybody", {1: SPEC}, ["nocp", "cp"])
    path = band(client)
    wanted = {"qc_program": "psi4", "qc_method": "HF", "qc_basis": ["sto-3g"]}
    for query, record_id in (
        (client.query_torsiondrives, scan),
        (client.query_gridoptimizations, grid),
        (client.query_reactions, reaction),
        (client.query_manybodys, expansion),
        (client.query_nebs, path),
    ):
        assert [r.id for r in query(**wanted)] == [record_id]
        assert list(query(qc_method="mp2")) == []
    assert [r.id for r in client.query_torsiondrives(optimization_program="geometric")] == [scan]
    initial = client.get_torsiondrives(scan).initial_molecules_ids
    assert [r.id for r in client.query_torsiondrives(initial_molecule_id=initial)] == [scan]
    assert [r.record_type for r in client.query_records(record_id=[scan, path], include=["singlepoints"])] == [
        "neb",
        "torsiondrive",
    ]


def test_what_can_only_fail_is_told(client: PortalClient) -> None:
    with pytest.raises(errors.InvalidRequest, match="torsiondrive"):
        client.add_torsiondrives([[peroxide()]], "psi4", OPTIMIZER, {"dihedrals": [], "grid_spacing": []})
    meta, _ = client.add_nebs([[peroxide()]], "geometric", GRADIENT, None, {})
    assert "11" in meta.error_string


def test_specifications_may_be_those_of_the_existing_client(client: PortalClient) -> None:
    from qcportal.optimization import OptimizationSpecification
    from qcportal.singlepoint import QCSpecification
    from qcportal.torsiondrive import TorsiondriveKeywords

    qc = QCSpecification(program="psi4", driver="deferred", method="hf", basis="sto-3g")
    spec = OptimizationSpecification(program="geometric", qc_specification=qc)
    keywords = TorsiondriveKeywords(dihedrals=[composing.DIHEDRAL], grid_spacing=[60])
    first = torsion_scan(client)
    meta, ids = client.add_torsiondrives([[peroxide()]], "torsiondrive", spec, keywords)
    assert (meta.existing_idx, ids) == ([0], [first])


def test_a_child_that_was_shared_is_one_record(archive: Archive, api: Http, client: PortalClient) -> None:
    pair, other = make_molecule(), make_molecule()
    _, ids = client.add_reactions([[(1.0, pair)], [(1.0, pair), (1.0, other)]], "reaction", SPEC, None)
    tick(archive.conninfo)
    claim_and_return(Manager(api))
    one, two = client.get_reactions(ids, include=["components"])
    assert one.components[0].singlepoint_id in [c.singlepoint_id for c in two.components]
