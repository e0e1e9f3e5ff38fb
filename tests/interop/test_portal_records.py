"""The peer's client, unmodified, adds, gets and queries records on our server, in every state they can be in."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from qcportal import PortalClient, PortalRequestError
from qcportal.molecules import Molecule
from qcportal.optimization import OptimizationProtocols, OptimizationSpecification
from qcportal.record_models import PriorityEnum, RecordStatusEnum
from qcportal.singlepoint import QCSpecification, SinglepointProtocols

from qchive.client.connection import Connection
from qchive.server.settings import Settings
from tests.archive import prepared, running
from tests.interop.manager import Manager
from tests.interop.peers import portal

LIMITS = {"get_records": 12, "add_records": 20, "get_managers": 8}
HF = ("psi4", "energy", "hf", "sto-3g")
OPT = QCSpecification(program="psi4", driver="deferred", method="hf", basis="sto-3g")


@pytest.fixture(scope="module")
def address(databases: Any) -> Iterator[str]:
    with prepared(databases) as conninfo, running(conninfo, Settings(api_limits=LIMITS)) as server:
        yield server.address


@pytest.fixture(params=["application/json", "application/msgpack"])
def client(address: str, request: pytest.FixtureRequest) -> PortalClient:
    return portal(address, request.param)


@pytest.fixture
def tag() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
def manager(address: str, tag: str) -> Iterator[Manager]:
    with Connection(address) as connection:
        yield Manager(connection, (tag,))


def hydrogen() -> Molecule:
    """A hydrogen molecule that no other test has."""
    return Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, 1.4 + uuid.uuid4().int % 10**8 / 10**8])


def add(client: PortalClient, tag: str, n: int = 1, **more: Any) -> list[int]:
    meta, ids = client.add_singlepoints([hydrogen() for _ in range(n)], *HF, compute_tag=tag, **more)
    assert meta.success
    assert meta.n_inserted == n
    return ids


# --- adding ------------------------------------------------------------------------------------------------------


def test_one_input_or_many_by_object_or_by_id(client: PortalClient) -> None:
    first, second = hydrogen(), hydrogen()
    meta, (one,) = client.add_singlepoints(first, *HF)
    assert (meta.inserted_idx, meta.existing_idx) == ([0], [])
    _, molecule_ids = client.add_molecules([first, second])
    meta, ids = client.add_singlepoints([*molecule_ids, second], *HF)
    assert (meta.inserted_idx, meta.existing_idx) == ([1], [0, 2])
    assert ids == [one, ids[1], ids[1]]
    assert client.add_singlepoints([], *HF)[1] == []


def test_the_specification_comes_back_as_it_was(client: PortalClient) -> None:
    keywords = {"maxiter": 50, "e_convergence": 1e-8, "deep": {"list": [1, None, "x"], "yes": True}}
    protocols = SinglepointProtocols(wavefunction="all", stdout=False, native_files="all")
    _, (record_id,) = client.add_singlepoints(
        hydrogen(),
        "PSI4",
        "gradient",
        "B3LYP",
        "6-31G*",
        keywords,
        protocols,
        compute_tag="Tag1",
        compute_priority="high",
    )
    record = client.get_singlepoints(record_id)
    expected = QCSpecification(
        program="psi4", driver="gradient", method="b3lyp", basis="6-31g*", keywords=keywords, protocols=protocols
    )
    assert record.specification == expected
    assert record.task.compute_tag == "tag1"
    assert record.task.compute_priority == PriorityEnum.high
    assert record.task.required_programs == ["psi4", "qcengine"]


def test_an_optimizations_specification_comes_back_as_it_was(client: PortalClient) -> None:
    protocols = OptimizationProtocols(trajectory="initial_and_final")
    _, (record_id,) = client.add_optimizations(hydrogen(), "geomeTRIC", OPT, {"maxiter": 7}, protocols)
    record = client.get_optimizations(record_id)
    assert record.specification == OptimizationSpecification(
        program="geometric", qc_specification=OPT, keywords={"maxiter": 7}, protocols=protocols
    )
    assert record.task.required_programs == ["geometric", "psi4", "qcengine"]
    assert (record.energies, record.final_molecule_id, record.final_molecule) == (None, None, None)
    assert not record.trajectory


def test_what_is_there_is_found_and_what_differs_is_not(client: PortalClient) -> None:
    molecule = hydrogen()
    _, (first,) = client.add_singlepoints(molecule, *HF, {"a": 1})
    same = client.add_singlepoints(molecule, "PSI4", "energy", "HF", "STO-3G", {"a": 1})
    assert (same[0].n_existing, same[1]) == (1, [first])
    for other in (("psi4", "energy", "hf", "sto-3g", {"a": 2}), ("psi4", "energy", "hf", None, {"a": 1})):
        assert client.add_singlepoints(molecule, *other)[1] != [first]
    meta, (again,) = client.add_singlepoints(molecule, *HF, {"a": 1}, find_existing=False)
    assert meta.n_inserted == 1
    assert again != first


@pytest.mark.parametrize("basis", [None, ""])
def test_no_basis_is_no_basis(client: PortalClient, basis: str | None) -> None:
    _, (record_id,) = client.add_singlepoints(hydrogen(), "rdkit", "energy", "uff", basis)
    assert (
        client.get_singlepoints(record_id).specification.basis
        == QCSpecification(program="rdkit", driver="energy", method="uff", basis=basis).basis
    )


def test_older_names_of_tag_and_priority_are_understood(client: PortalClient, tag: str) -> None:
    _, (record_id,) = client.add_singlepoints(hydrogen(), *HF, tag=tag, priority="low")
    task = client.get_records(record_id).task
    assert (task.tag, task.priority) == (tag, PriorityEnum.low)


def test_too_many_records_or_unknown_molecules_are_refused(client: PortalClient) -> None:
    with pytest.raises(RuntimeError, match="limit"):
        client.add_singlepoints([hydrogen() for _ in range(21)], *HF)
    client.api_limits["add_records"] = 1000
    with pytest.raises(PortalRequestError, match="Cannot add 21 singlepoint records - limit is 20"):
        client.add_singlepoints([hydrogen() for _ in range(21)], *HF)
    meta, ids = client.add_singlepoints([hydrogen(), 10**9], *HF)
    assert not meta.success
    assert str(10**9) in meta.error_string
    assert ids == []


# --- getting -----------------------------------------------------------------------------------------------------


def test_records_come_in_the_order_asked_for_in_several_requests(client: PortalClient, tag: str) -> None:
    ids = add(client, tag, 20)
    asked = [*ids[::-1], ids[3]]
    assert [r.id for r in client.get_records(asked)] == asked
    assert [r.id for r in client.get_singlepoints(range(ids[0], ids[0] + 1))] == ids[:1]
    assert client.get_records(ids[0]).id == ids[0]
    assert client.get_records([]) == []


def test_missing_records_are_an_error_or_none(client: PortalClient, tag: str) -> None:
    (record_id,) = add(client, tag)
    with pytest.raises(PortalRequestError, match="Could not find all requested records") as refused:
        client.get_records([record_id, 10**9])
    assert refused.value.status_code == 400
    assert client.get_records(10**9, missing_ok=True) is None
    assert [r and r.id for r in client.get_singlepoints([10**9, record_id], missing_ok=True)] == [None, record_id]
    with pytest.raises(PortalRequestError):
        client.get_optimizations(record_id)


def test_a_waiting_record_has_a_task_and_nothing_else(client: PortalClient, tag: str) -> None:
    (record_id,) = add(client, tag)
    record = client.get_records(record_id)
    assert str(record) == f"<SinglepointRecord id={record_id} status=RecordStatusEnum.waiting>"
    assert (record.task.record_id, record.task.function, record.task.function_kwargs_compressed) == (
        record_id,
        None,
        None,
    )
    assert (record.compute_history, record.comments) == ([], [])
    nothing = (record.stdout, record.stderr, record.error, record.provenance, record.properties, record.wavefunction)
    assert nothing == (None,) * 6
    assert not record.native_files
    assert record.manager_name is None
    assert record.owner_user is None
    assert record.children_status == {}
    assert record.children_errors == []
    assert record.service is None
    assert abs(record.created_on - datetime.now(UTC)) < timedelta(hours=1)


def test_a_running_record_shows_its_manager_and_its_task(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag)
    manager.claim()
    record = client.get_records(record_id)
    assert record.status == RecordStatusEnum.running
    assert record.manager_name == manager.name
    assert record.task.function == "qcengine.compute"
    given = record.task.function_kwargs
    assert given["input_data"]["model"] == {"method": "hf", "basis": "sto-3g"}
    assert given["input_data"]["molecule"]["symbols"] == ["H", "H"]
    assert record.compute_history == []
    assert record.stdout is None


def test_a_complete_single_point_shows_everything(client: PortalClient, tag: str, manager: Manager) -> None:
    molecule = hydrogen()
    protocols = SinglepointProtocols(wavefunction="all", native_files="all")
    _, (record_id,) = client.add_singlepoints(molecule, *HF, None, protocols, compute_tag=tag)
    assert manager.run_all().n_accepted == 1
    record = client.get_records(record_id)
    assert record.status == RecordStatusEnum.complete
    assert record.return_result == record.properties["return_energy"] == -1.0
    assert record.properties["scf total energy"] == -1.0
    assert record.extras == {"mine": [1, 2]}
    assert record.stdout == "all is well\n"
    assert (record.stderr, record.error, record.task) == (None, None, None)
    assert record.provenance.creator == "psi4"
    (attempt,) = record.compute_history
    assert (attempt.status, attempt.manager_name) == (RecordStatusEnum.complete, manager.name)
    assert attempt.get_output("stdout") == "all is well\n"
    assert record.native_files["input"].data == "molecule h2"
    assert record.wavefunction.scf_eigenvalues_a.tolist() == [-0.5, 0.5]
    assert record.molecule == molecule
    result = record.to_qcschema_result()
    assert result.return_result == -1.0
    assert result.extras["extra_properties"]["scf total energy"] == -1.0


def test_a_gradient_comes_back_as_a_flat_list(client: PortalClient, tag: str, manager: Manager) -> None:
    _, (record_id,) = client.add_singlepoints(hydrogen(), "psi4", "gradient", "hf", "sto-3g", compute_tag=tag)
    manager.run_all()
    record = client.get_singlepoints(record_id)
    assert list(record.return_result) == [0.0, 0.0, 0.25, 0.0, 0.0, -0.25]


def test_a_complete_optimization_shows_its_path(client: PortalClient, tag: str, manager: Manager) -> None:
    molecule = hydrogen()
    _, (record_id,) = client.add_optimizations(molecule, "geometric", OPT, compute_tag=tag)
    manager.run_all()
    record = client.get_records(record_id)
    assert record.status == RecordStatusEnum.complete
    assert record.energies == [-1.0, -1.1]
    assert record.initial_molecule == molecule
    assert record.final_molecule.geometry[1][2] == 1.5
    assert record.stdout == "converged\n"
    assert record.trajectory_element(-1).properties["return_energy"] == -1.1
    assert [step.properties["return_energy"] for step in record.trajectory] == [-1.0, -1.1]
    assert record.trajectory[0].molecule_id == record.initial_molecule_id
    assert record.trajectory[-1].molecule_id == record.final_molecule_id
    assert record.children_status == {RecordStatusEnum.complete: 2}
    assert record.to_qcschema_result().energies == [-1.0, -1.1]
    assert [r.id for r in client.query_records(parent_id=record_id)] == [r.id for r in record.trajectory[::-1]]
    assert [r.id for r in client.query_records(child_id=record.trajectory[0].id)] == [record_id]


def test_a_failed_record_shows_its_error_and_keeps_it_after_a_success(
    client: PortalClient, tag: str, manager: Manager
) -> None:
    (record_id,) = add(client, tag)
    manager.fail_all()
    record = client.get_records(record_id)
    assert record.status == RecordStatusEnum.error
    assert record.error["error_type"] == "convergence_error"
    assert record.error["error_message"] == "SCF did not converge"
    assert record.stdout == "half way"
    assert record.provenance is None
    assert record.properties is None
    assert record.task.compute_tag == tag
    assert client.reset_records(record_id).n_updated == 1
    manager.run_all()
    record = client.get_singlepoints(record_id, include=["**"])
    assert [attempt.status.value for attempt in record.compute_history] == ["error", "complete"]
    assert record.compute_history[0].error["error_type"] == "convergence_error"
    assert record.error is None


def test_everything_can_be_asked_for_at_once(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag, protocols=SinglepointProtocols(wavefunction="all", native_files="all"))
    manager.run_all()
    for record in (
        client.get_singlepoints(record_id, include=["**"]),
        *client.query_singlepoints(record_id=record_id, include=["**"]),
    ):
        record._client = None
        assert record.offline
        assert record.stdout == "all is well\n"
        assert record.molecule.symbols.tolist() == ["H", "H"]
        assert record.wavefunction.restricted
        assert record.native_files["input"].data == "molecule h2"
        assert record.comments == []
        assert len(record.compute_history) == 1


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("molecule", lambda r: r.molecule.symbols.tolist() == ["H", "H"]),
        ("wavefunction", lambda r: r.wavefunction.restricted),
        ("comments", lambda r: r.comments == []),
        ("task", lambda r: r.task is None),
        ("native_files", lambda r: list(r.native_files) == ["input"]),
        ("compute_history", lambda r: len(r.compute_history) == 1),
        ("outputs", lambda r: r.stdout == "all is well\n"),
    ],
)
def test_single_parts_can_be_asked_for(
    client: PortalClient, tag: str, manager: Manager, asked: str, shown: Callable[[Any], bool]
) -> None:
    (record_id,) = add(client, tag, protocols=SinglepointProtocols(wavefunction="all", native_files="all"))
    manager.run_all()
    record = client.get_singlepoints(record_id, include=[asked])
    assert record.status == RecordStatusEnum.complete
    assert record.specification.method == "hf"
    record._client = None
    assert shown(record)


def test_children_come_with_their_parents(client: PortalClient, tag: str, manager: Manager) -> None:
    _, ids = client.add_optimizations([hydrogen(), hydrogen()], "geometric", OPT, compute_tag=tag)
    manager.run_all()
    for record in client.get_optimizations(ids, include=["trajectory", "initial_molecule"]):
        record._client = None
        assert len(record.trajectory) == 2
        assert record.initial_molecule.symbols.tolist() == ["H", "H"]


# --- querying ----------------------------------------------------------------------------------------------------


def test_queries_go_through_all_pages_newest_first(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = add(client, tag, 11)
    manager.run_all()
    newest_first = sorted(ids, reverse=True)
    found = client.query_singlepoints(manager_name=manager.name)
    assert [r.id for r in found] == newest_first
    assert list(found) == []
    found.reset()
    assert next(found).id == newest_first[0]
    assert [r.id for r in client.query_records(history_manager_name=manager.name, limit=5)] == newest_first[:5]
    assert [r.id for r in client.query_records(record_id=ids, status="complete", limit=4)] == newest_first[:4]
    assert list(client.query_records(record_id=ids, status=["waiting", "error"])) == []


def test_records_are_found_by_what_they_compute(client: PortalClient, tag: str) -> None:
    molecule = hydrogen()
    _, (molecule_id,) = client.add_molecules([molecule])
    _, (plain,) = client.add_singlepoints(molecule_id, *HF)
    _, (bare,) = client.add_singlepoints(molecule_id, "rdkit", "gradient", "uff", None, {"deep": {"k": 1}, "other": 2})
    _, (path,) = client.add_optimizations(molecule_id, "geometric", OPT)

    def single(**filters: Any) -> list[int]:
        return [r.id for r in client.query_singlepoints(molecule_id=molecule_id, **filters)]

    assert single() == [bare, plain]
    assert single(program="PSI4") == [plain]
    assert single(driver="gradient") == [bare]
    assert single(method=["uff", "b3lyp"]) == [bare]
    assert single(basis="STO-3G") == [plain]
    assert single(basis=None) == [bare, plain]
    assert single(basis="") == single(basis=[None]) == [bare]
    assert single(keywords={"deep": {"k": 1}}) == [bare]
    optimizations = client.query_optimizations(initial_molecule_id=molecule_id, qc_method="hf", qc_program="psi4")
    assert [r.id for r in optimizations] == [path]
    assert list(client.query_optimizations(initial_molecule_id=molecule_id, qc_basis="other")) == []
    assert {r.id for r in client.query_records(record_id=[plain, path], record_type="optimization")} == {path}


def test_records_are_found_by_their_times(client: PortalClient, tag: str) -> None:
    ids = add(client, tag, 2)
    first = client.get_records(ids[0])
    both = {"record_id": ids}
    hour = timedelta(hours=1)
    assert len(list(client.query_records(**both, created_after=first.created_on - hour))) == 2
    assert len(list(client.query_records(**both, created_before=first.created_on - hour))) == 0
    assert len(list(client.query_records(**both, modified_after=str(first.modified_on - hour)))) == 2
    assert len(list(client.query_records(**both, modified_before="2000-01-01"))) == 0


# --- waiting and managers ------------------------------------------------------------------------------------------


def test_a_waiting_record_says_why_it_waits(client: PortalClient, tag: str, manager: Manager) -> None:
    _, (record_id,) = client.add_singlepoints(hydrogen(), "other", "energy", "hf", None, compute_tag=tag)
    why = client.get_waiting_reason(record_id)
    assert why["reason"]
    assert "other" in why["details"][manager.name]
    assert client.get_records(record_id).get_waiting_reason() == why


def test_managers_are_listed_over_several_pages(client: PortalClient, address: str) -> None:
    tag = f"t{uuid.uuid4().hex}"
    with Connection(address) as connection:
        names = [Manager(connection, (tag,)).name for _ in range(5)]
    found = [m for m in client.query_managers(cluster="tests", status="active") if m.compute_tags == [tag]]
    assert [m.name for m in found] == names[::-1]
    assert client.get_managers(names[0]).name == names[0]
    assert [m and m.name for m in client.get_managers([names[2], "nobody"], missing_ok=True)] == [names[2], None]
    assert client.query_active_managers(tag, {"psi4": []}) == names
    assert client.query_active_managers(tag, {"other": []}) == []
    with pytest.raises(PortalRequestError, match="Could not find all requested"):
        client.get_managers("nobody")
