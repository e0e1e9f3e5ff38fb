"""Our client against servers of the protocol: the peer's, unmodified, and ours."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qcelemental.models import Molecule
from qcelemental.models.v2 import Molecule as NewMolecule

from qchive import PortalClient, PriorityEnum, RecordStatusEnum, errors, wire
from qchive.api.metadata import DeleteMetadata, InsertMetadata, UpdateMetadata
from tests.interop.conftest import Server
from tests.interop.manager import Manager, failed

OPT = {"program": "psi4", "method": "hf", "basis": "sto-3g"}


def hydrogen(length: float | None = None) -> Any:
    """A hydrogen molecule, by default one that no other test has."""
    length = 1.4 + uuid.uuid4().int % 10**8 / 10**8 if length is None else length
    return Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, length])


def add(client: PortalClient, tag: str, n: int = 1, **options: Any) -> list[int]:
    molecules = [hydrogen() for _ in range(n)]
    _, ids = client.add_singlepoints(molecules, "psi4", "energy", "hf", "sto-3g", compute_tag=tag, **options)
    return ids


def test_the_server_introduces_itself(client: PortalClient, server: Server) -> None:
    assert client.ping()
    assert client.address == server.url + "/"
    assert client.api_limits["get_records"] == 1000
    assert client.get_motd() == ""
    assert "paths" in client.get_server_openapi_spec()
    assert repr(client) == f"PortalClient(server_name='{client.server_name}', address='{server.url}/', username=None)"
    assert f"<li><b>Address:</b> {server.url}/</li>" in client._repr_html_()


# --- molecules ---------------------------------------------------------------------------------------------------


def test_molecules_of_either_layout_and_mappings_are_one_molecule(client: PortalClient) -> None:
    old = hydrogen()
    new = NewMolecule(symbols=["H", "H"], geometry=old.geometry)
    plain = {"symbols": ["H", "H"], "geometry": old.geometry}
    meta, ids = client.add_molecules([old, new, plain])
    assert meta == InsertMetadata(inserted_idx=[0], existing_idx=[1, 2])
    assert len(set(ids)) == 1
    got = client.get_molecules(ids[0])
    assert isinstance(got, Molecule)
    assert got == old
    assert got.id == ids[0]


def test_molecules_come_in_the_order_asked_for(client: PortalClient) -> None:
    _, ids = client.add_molecules([hydrogen(), hydrogen()])
    got = client.get_molecules([ids[1], ids[0], ids[1]])
    assert [m.id for m in got] == [ids[1], ids[0], ids[1]]
    assert [m.id for m in client.get_molecules(np.array(ids))] == ids
    assert client.get_molecules([]) == []


def test_a_missing_molecule_is_an_error_or_none(client: PortalClient) -> None:
    with pytest.raises(errors.QCHiveError, match="requested records"):
        client.get_molecules(10**9)
    assert client.get_molecules(10**9, missing_ok=True) is None


def test_more_molecules_than_one_request_takes_are_sent_in_several(client: PortalClient) -> None:
    client.server_info["api_limits"] = client.api_limits | {"add_molecules": 4, "get_molecules": 8}
    molecules = [hydrogen() for _ in range(10)]
    meta, ids = client.add_molecules([*molecules, molecules[0]])
    assert meta == InsertMetadata(inserted_idx=list(range(10)), existing_idx=[10])
    assert ids[10] == ids[0]
    assert client.get_molecules(ids) == [*molecules, molecules[0]]


def test_molecules_are_found(client: PortalClient) -> None:
    client.server_info["api_limits"] = client.api_limits | {"get_molecules": 8}
    molecules = [hydrogen() for _ in range(5)]
    _, ids = client.add_molecules(molecules)
    hashes = [m.get_hash() for m in molecules]
    found = client.query_molecules(molecule_hash=hashes)
    assert [m.id for m in found] == sorted(ids, reverse=True)
    assert list(found) == []
    found.reset()
    assert next(found).id == max(ids)
    assert [m.id for m in client.query_molecules(molecule_hash=hashes, limit=3)] == sorted(ids, reverse=True)[:3]
    assert list(client.query_molecules(molecule_hash="0" * 40)) == []
    assert list(client.query_molecules(molecule_hash=[])) == []
    with pytest.raises(TypeError, match="no filter molecular_hash"):
        client.query_molecules(molecular_hash=hashes)


def test_a_molecule_is_renamed_found_by_identifier_and_deleted(client: PortalClient) -> None:
    _, (molecule_id,) = client.add_molecules(hydrogen())
    smiles = uuid.uuid4().hex
    meta = client.modify_molecule(molecule_id, name="dihydrogen", identifiers={"smiles": smiles})
    assert meta == UpdateMetadata(updated_idx=[0])
    (found,) = client.query_molecules(identifiers={"smiles": smiles})
    assert found.name == "dihydrogen"
    assert client.delete_molecules(molecule_id) == DeleteMetadata(deleted_idx=[0])
    assert client.get_molecules(molecule_id, missing_ok=True) is None
    assert client.delete_molecules([]) == DeleteMetadata()


def test_files_of_molecules_are_uploaded(client: PortalClient, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.xyz", tmp_path / "bad.xyz"
    good.write_text("1\n\nHe 0 0 0\n")
    bad.write_text("nonsense")
    by_file, unread = client.upload_molecules([good, bad])
    ((name, molecule_id),) = by_file["good.xyz"]
    assert name == "good.xyz"
    assert client.get_molecules(molecule_id).get_molecular_formula() == "He"
    assert len(unread) == 1
    assert client.upload_molecules([]) == ({}, [])


# --- adding and looking ------------------------------------------------------------------------------------------


def test_a_record_says_what_was_asked_for(client: PortalClient, tag: str) -> None:
    molecule = hydrogen()
    meta, ids = client.add_singlepoints(
        [molecule, molecule], "PSI4", "energy", "HF", None, keywords={"maxiter": 50}, compute_tag=tag
    )
    assert str(meta) == ("InsertMetadata(error_description=None, errors=[], inserted_idx=[0], existing_idx=[1])")
    assert ids[0] == ids[1]
    record = client.get_singlepoints(ids[0])
    assert str(record) == f"<SinglepointRecord id={ids[0]} status=RecordStatusEnum.waiting>"
    assert (record.specification.program, record.specification.method, record.specification.basis) == (
        "psi4",
        "hf",
        None,
    )
    assert record.specification.keywords == {"maxiter": 50}
    assert record.molecule == molecule
    assert record.molecule.id == record.molecule_id
    assert record.properties is None
    assert record.return_result is None
    assert record.extras == {}
    assert record.manager_name is None
    assert record.owner_user is None
    assert record.creator_user is None
    assert not record.is_service
    assert abs(record.created_on - datetime.now(UTC)) < timedelta(minutes=1)
    assert record.compute_history == []
    assert (record.stdout, record.stderr, record.error, record.provenance) == (None, None, None, None)
    assert record.native_files == {}
    assert record.wavefunction is None
    assert record.service is None
    assert record.comments == []
    assert record.children_status == {}
    assert record.children_errors == []
    assert not record.offline
    with pytest.raises(AttributeError, match="SinglepointRecord has no trajectory"):
        _ = record.trajectory


def test_tags_and_priorities_are_shown_and_changed(client: PortalClient, tag: str) -> None:
    _, (record_id,) = client.add_singlepoints(hydrogen(), "psi4", "energy", "hf", "sto-3g")
    task = client.get_records(record_id).task
    assert f"{task.tag} {task.priority!s}" == "* PriorityEnum.normal"
    meta = client.modify_records(record_id, new_tag=tag.upper(), new_priority="low")
    assert str(meta) == "UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)"
    task = client.get_records(record_id).task
    assert (task.compute_tag, task.compute_priority) == (tag, PriorityEnum.low)
    assert task.required_programs == ["psi4", "qcengine"]
    assert task.function_kwargs is None
    client.modify_records([record_id], new_compute_priority=PriorityEnum.high)
    assert client.get_records(record_id).task.priority is PriorityEnum.high
    assert client.modify_records(record_id) == UpdateMetadata()
    with pytest.raises(ValueError, match="no priority 'urgent'"):
        client.modify_records(record_id, new_priority="urgent")


def test_comments_are_kept(client: PortalClient, tag: str) -> None:
    (record_id,) = add(client, tag)
    client.add_comment(record_id, "Invalid due to convergence to wrong minimum")
    (comment,) = client.get_records(record_id).comments
    assert str(comment) == (
        f"RecordComment(id={comment.id}, record_id={record_id}, username=None, timestamp={comment.timestamp!r},"
        " comment='Invalid due to convergence to wrong minimum')"
    )


def test_misspelt_arguments_are_refused(client: PortalClient) -> None:
    with pytest.raises(TypeError, match="compute_tags"):
        client.add_singlepoints([1], "psi4", "energy", "hf", "sto-3g", compute_tags="x")
    with pytest.raises(TypeError, match="no filter metod"):
        client.query_singlepoints(metod="hf")
    with pytest.raises(errors.InvalidBody, match="energi"):
        client.add_singlepoints([1], "psi4", "energi", "hf", "sto-3g")
    with pytest.raises(errors.UnknownKind, match="there are singlepoint, optimization"):
        client.add("singlepiont", [1], {})


def test_an_unknown_molecule_adds_nothing(client: PortalClient, tag: str) -> None:
    meta, ids = client.add_singlepoints([hydrogen(), 10**9], "psi4", "energy", "hf", "sto-3g", compute_tag=tag)
    assert not meta.success
    assert meta.error_description
    assert ids == []


def test_nothing_given_asks_for_nothing(client: PortalClient) -> None:
    assert client.add_singlepoints([], "psi4", "energy", "hf", "sto-3g") == (InsertMetadata(), [])
    assert client.get_records([]) == []
    assert client.reset_records([]) == UpdateMetadata()
    assert client.undelete_records([]) == UpdateMetadata()
    assert client.delete_records([]) == DeleteMetadata()


def test_more_records_than_one_request_takes_are_sent_in_several(client: PortalClient, tag: str) -> None:
    client.server_info["api_limits"] = client.api_limits | {"add_records": 4, "get_records": 8}
    molecules = [hydrogen() for _ in range(9)]
    meta, ids = client.add_singlepoints([*molecules, molecules[2]], "psi4", "energy", "hf", "sto-3g", compute_tag=tag)
    assert meta == InsertMetadata(inserted_idx=list(range(9)), existing_idx=[9])
    assert ids[9] == ids[2]
    assert [r.id for r in client.get_records(ids)] == ids


def test_a_refused_part_ends_the_call(client: PortalClient, tag: str) -> None:
    client.server_info["api_limits"] = client.api_limits | {"add_records": 2}
    inputs = [hydrogen(), hydrogen(), 10**9, hydrogen(), hydrogen()]
    meta, ids = client.add_singlepoints(inputs, "psi4", "energy", "hf", "sto-3g", compute_tag=tag)
    assert meta.inserted_idx == [0, 1]
    assert meta.error_description
    assert len(ids) == 2


def test_with_find_existing_off_every_input_is_a_new_record(client: PortalClient, tag: str) -> None:
    molecule = hydrogen()
    args = ("psi4", "energy", "hf", "sto-3g")
    _, first = client.add_singlepoints(molecule, *args, tag=tag, priority="high")
    meta, second = client.add_singlepoints([molecule, molecule], *args, tag=tag, find_existing=False)
    assert meta.n_inserted == 2
    assert len({*first, *second}) == 3
    assert client.get_records(first[0]).task.priority is PriorityEnum.high


def test_missing_records_are_an_error_or_none(client: PortalClient, tag: str) -> None:
    (record_id,) = add(client, tag)
    with pytest.raises(errors.QCHiveError, match="requested records"):
        client.get_records([record_id, 10**9])
    assert client.get_records(10**9, missing_ok=True) is None
    assert [r and r.id for r in client.get_records([10**9, record_id], missing_ok=True)] == [None, record_id]
    assert client.get_optimizations(record_id, missing_ok=True) is None
    with pytest.raises(TypeError):
        client.get_records("1")


# --- results -----------------------------------------------------------------------------------------------------


def test_a_finished_single_point_shows_its_results(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = add(client, tag, protocols={"wavefunction": "all"})
    assert manager.run_all().n_accepted == 1
    record = client.get_records(ids[0])
    assert record.status is RecordStatusEnum.complete
    assert record.manager_name == manager.name
    assert record.return_result == -1.0
    assert record.properties["return_energy"] == -1.0
    assert record.properties["scf total energy"] == -1.0
    assert record.extras == {"mine": [1, 2]}
    assert record.task is None
    assert record.stdout == "all is well\n"
    assert record.stderr is None
    assert record.error is None
    assert (record.provenance.creator, record.provenance.nthreads) == ("psi4", 2)
    assert len(record.compute_history) == 1
    assert list(record.compute_history[0].outputs) == ["stdout"]
    assert record.native_files["input"].data == "molecule h2"
    assert record.wavefunction.scf_eigenvalues_a.tolist() == [-0.5, 0.5]
    html = record._repr_html_()
    assert "<td>complete</td>" in html
    assert "-1.0000000000 Eh" in html


def test_native_files_are_saved(client: PortalClient, tag: str, manager: Manager, tmp_path: Path) -> None:
    (record_id,) = add(client, tag)
    manager.run_all()
    file = client.get_records(record_id).native_files["input"]
    assert file.save_file(tmp_path).read_text() == "molecule h2"
    with pytest.raises(RuntimeError, match="exists already"):
        file.save_file(tmp_path)
    file.save_file(tmp_path, overwrite=True)
    packed = file.save_file(tmp_path, keep_compressed=True)
    assert packed.name == "input.zst"
    assert wire.decompress_bytes(packed.read_bytes(), "zstd", 1000) == b"molecule h2"


def test_everything_can_be_included_at_once(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag, protocols={"wavefunction": "all"})
    manager.run_all()
    for record in (
        client.get_records(record_id, include=["**"]),
        client.get_singlepoints(record_id, include=["**"]),
        next(client.query_records(record_id=record_id, include="**")),
    ):
        record._client = None
        assert record.offline
        assert record.stdout == "all is well\n"
        assert record.molecule.symbols.tolist() == ["H", "H"]
        assert record.wavefunction.restricted
        assert record.native_files["input"].data == "molecule h2"
        assert record.comments == []
        assert record.task is None
        with pytest.raises(errors.Offline, match=f"record {record_id}"):
            _ = record.children_errors


def test_without_a_client_what_is_not_there_is_told(client: PortalClient, tag: str) -> None:
    (record_id,) = add(client, tag)
    record = client.get_records(record_id)
    record._client = None
    for name in ("compute_history", "stdout", "task", "comments", "native_files", "molecule", "wavefunction"):
        with pytest.raises(errors.Offline):
            getattr(record, name)


def test_a_failure_shows_its_error_and_is_reset(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag)
    manager.fail_all()
    record = client.get_records(record_id)
    assert record.status is RecordStatusEnum.error
    assert record.error["error_type"] == "convergence_error"
    assert record.error["error_message"] == "SCF did not converge"
    assert record.stdout == "half way"
    assert record.provenance is None
    meta = client.reset_records(record_id)
    assert str(meta) == "UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)"
    assert str(client.get_records(record_id).status) == "RecordStatusEnum.waiting"
    manager.run_all()
    record = client.get_records(record_id, include=["outputs"])
    assert [h.status.value for h in record.compute_history] == ["error", "complete"]
    assert record.error is None
    assert record.compute_history[0].error["error_type"] == "convergence_error"
    assert client.reset_records(record_id).n_errors == 1


def test_an_optimization_shows_its_path(client: PortalClient, tag: str, manager: Manager) -> None:
    molecule = hydrogen()
    meta, (record_id,) = client.add_optimizations(molecule, "geometric", OPT, keywords={"maxiter": 7}, compute_tag=tag)
    assert meta.n_inserted == 1
    record = client.get_optimizations(record_id)
    assert record.specification.qc_specification.method == "hf"
    assert record.initial_molecule == molecule
    assert (record.final_molecule_id, record.final_molecule, record.energies) == (None, None, None)
    assert record.trajectory == []
    assert record.task.required_programs == ["geometric", "psi4", "qcengine"]
    manager.run_all()
    record = client.get_records(record_id)
    assert str(record) == f"<OptimizationRecord id={record_id} status=RecordStatusEnum.complete>"
    assert record.energies == [-1.0, -1.1]
    assert record.final_molecule.geometry[1][2] == 1.5
    assert record.trajectory_element(-1).return_result == [0.0, 0.0, 0.25, 0.0, 0.0, -0.25]
    assert [step.properties["return_energy"] for step in record.trajectory] == [-1.0, -1.1]
    assert record.trajectory_element(0) is record.trajectory[0]
    assert record.children_status == {RecordStatusEnum.complete: 2}
    assert record.stdout == "converged\n"
    assert [r.id for r in client.query_records(child_id=record.trajectory[0].id)] == [record_id]
    steps = client.query_singlepoints(parent_id=record_id)
    assert {s.id for s in steps} == {s.id for s in record.trajectory}


def test_children_come_with_their_parents(client: PortalClient, tag: str, manager: Manager) -> None:
    _, ids = client.add_optimizations([hydrogen(), hydrogen()], "geometric", OPT, compute_tag=tag)
    manager.run_all()
    for records in (
        client.get_optimizations(ids, include=["trajectory", "molecule"]),
        client.get_records(ids, include=["trajectory", "molecule"]),
    ):
        for record in records:
            steps = record.trajectory
            for step in steps:
                step._client = None
            assert [step.molecule.symbols.tolist() for step in steps] == [["H", "H"]] * 2


def test_records_become_qcschema_results(client: PortalClient, tag: str, manager: Manager) -> None:
    (single,) = add(client, tag, protocols={"wavefunction": "all"})
    _, (path,) = client.add_optimizations(hydrogen(), "geometric", OPT, compute_tag=tag)
    with pytest.raises(RuntimeError, match="only complete"):
        client.get_records(single).to_qcschema_result()
    manager.run_all()
    result = client.get_records(single).to_qcschema_result()
    assert result.return_result == -1.0
    assert result.model.method == "hf"
    assert result.properties.scf_iterations == 7
    assert result.extras["extra_properties"] == {"scf total energy": -1.0}
    assert result.stdout == "all is well\n"
    assert result.wavefunction is not None
    optimization = client.get_records(path).to_qcschema_result()
    assert optimization.energies == [-1.0, -1.1]
    assert optimization.keywords == {"program": "psi4"}
    assert len(optimization.trajectory) == 2


# --- moving ------------------------------------------------------------------------------------------------------


def test_records_are_cancelled_deleted_and_brought_back(client: PortalClient, tag: str) -> None:
    ids = add(client, tag, 2)

    def status() -> list[str]:
        return [r.status.value for r in client.get_records(ids)]

    assert client.cancel_records(ids) == UpdateMetadata(updated_idx=[0, 1])
    assert status() == ["cancelled"] * 2
    assert client.uncancel_records(ids) == UpdateMetadata(updated_idx=[0, 1])
    assert status() == ["waiting"] * 2
    assert client.delete_records(ids[0]) == DeleteMetadata(deleted_idx=[0])
    assert status() == ["deleted", "waiting"]
    assert client.undelete_records(ids) == UpdateMetadata(
        updated_idx=[0],
        errors=client.undelete_records(ids[1:]).errors and [(1, client.undelete_records(ids[1:]).errors[0][1])],
    )
    assert client.delete_records(ids, soft_delete=False) == DeleteMetadata(deleted_idx=[0, 1])
    assert client.get_records(ids[0], missing_ok=True) is None


def test_finished_records_are_invalidated_and_trusted_again(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag)
    assert client.invalidate_records(record_id).n_errors == 1
    manager.run_all()
    assert client.invalidate_records(record_id).n_updated == 1
    assert client.get_records(record_id).status is RecordStatusEnum.invalid
    assert client.uninvalidate_records(record_id).n_updated == 1
    assert client.get_records(record_id).status is RecordStatusEnum.complete


def test_a_waiting_record_says_why(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag)
    assert client.get_waiting_reason(record_id)["reason"] == "Waiting for a free manager"
    assert manager.name in client.get_records(record_id).get_waiting_reason()["details"]


# --- finding -----------------------------------------------------------------------------------------------------


def test_records_are_found_page_by_page(client: PortalClient, tag: str) -> None:
    client.server_info["api_limits"] = client.api_limits | {"get_records": 8}
    ids = sorted(add(client, tag, 7), reverse=True)
    assert [r.id for r in client.query_records(record_id=ids)] == ids
    assert [r.id for r in client.query_singlepoints(record_id=ids, limit=5)] == ids[:5]
    assert [r.id for r in client.query("singlepoint", record_id=ids, limit=4)] == ids[:4]
    assert list(client.query_optimizations(record_id=ids)) == []
    assert list(client.query_records(record_id=ids, status="complete")) == []
    assert list(client.query_records(record_id=ids, limit=0)) == []


def test_filters_take_one_value_or_many(client: PortalClient, tag: str, manager: Manager) -> None:
    molecule = hydrogen()
    args = {"compute_tag": tag, "keywords": {"k": tag}}
    _, (hf,) = client.add_singlepoints(molecule, "psi4", "energy", "hf", "sto-3g", **args)
    _, (mp2,) = client.add_singlepoints(molecule, "psi4", "gradient", "mp2", None, **args)
    molecule_id = client.get_records(hf).molecule_id

    def found(**given: Any) -> list[int]:
        return [r.id for r in client.query_singlepoints(molecule_id=molecule_id, **given)]

    assert found() == [mp2, hf]
    assert found(method="HF") == [hf]
    assert found(method=["hf", "mp2"], driver="gradient") == [mp2]
    assert found(basis="") == [mp2]
    assert found(basis=["sto-3g", None]) == [mp2, hf]
    assert found(keywords={"k": tag}) == [mp2, hf]
    assert found(status=RecordStatusEnum.waiting) == [mp2, hf]
    assert found(created_after="2020-01-01", modified_before=datetime.now(UTC) + timedelta(hours=1)) == [mp2, hf]
    assert found(created_before=datetime(2020, 1, 1)) == []
    assert found(manager_name=manager.name) == []
    manager.run_all()
    assert found(manager_name=manager.name, history_manager_name=manager.name) == [mp2, hf]


def test_a_record_removed_while_looping_is_passed_over(client: PortalClient, tag: str) -> None:
    client.server_info["api_limits"] = client.api_limits | {"get_records": 8}
    ids = sorted(add(client, tag, 4), reverse=True)
    found = client.query_records(record_id=ids)
    assert next(found).id == ids[0]
    client.delete_records([ids[1], ids[2]], soft_delete=False)
    left = [r.id for r in found]
    assert left[-1] == ids[3]
    assert ids[2] not in left


# --- waiting -----------------------------------------------------------------------------------------------------


def test_waiting_ends_when_nothing_runs_any_more(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = add(client, tag, 3)
    manager.run_all()
    (last,) = add(client, tag)
    client.cancel_records(last)
    records = client.wait([*ids, last, ids[0]], timeout=30)
    assert [r.id for r in records] == [*ids, last, ids[0]]
    assert [r.status.value for r in records] == ["complete", "complete", "complete", "cancelled", "complete"]
    assert client.wait(ids[0]).id == ids[0]
    assert client.wait([]) == []


def test_waiting_in_vain_ends_in_time(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = add(client, tag, 2)
    manager.give_back({manager.claim(1)[0].id: failed()})
    with pytest.raises(TimeoutError, match="1 of 2 records are not finished: 1 error, 1 waiting"):
        client.wait(ids, timeout=0.3, interval=0.1)


def test_waiting_for_what_does_not_exist_is_refused(client: PortalClient) -> None:
    with pytest.raises(errors.QCHiveError, match="requested records"):
        client.wait(10**9, timeout=30)


# --- managers ----------------------------------------------------------------------------------------------------


def test_managers_are_seen(client: PortalClient, tag: str, manager: Manager) -> None:
    found = client.get_managers(manager.name)
    assert (found.name, found.status.value, found.compute_tags) == (manager.name, "active", [tag])
    assert found.programs["psi4"] == ["1.9"]
    assert [m.name for m in client.get_managers([manager.name, "nobody"], missing_ok=True) if m] == [manager.name]
    with pytest.raises(errors.QCHiveError):
        client.get_managers("nobody")
    assert [m.name for m in client.query_managers(name=manager.name)] == [manager.name]
    assert list(client.query_managers(name=manager.name, status="inactive")) == []
    assert len(list(client.query_managers(cluster="tests", limit=1))) == 1
    assert client.query_active_managers(tag, ["psi4", "qcengine"]) == [manager.name]
    assert client.query_active_managers(tag, {"psi4": [], "cfour": []}) == []
