"""What the peer's client is tested with at our server, done by our client at both servers: every option, filter and
part of records, in every state."""

from __future__ import annotations

import json
import lzma
import uuid
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from msgspec import msgpack
from qcelemental.models import Molecule

from qchive import PortalClient, PriorityEnum, RecordStatusEnum, errors
from qchive.api.metadata import DeleteMetadata
from tests.interop.manager import Manager, finished

HF = ("psi4", "energy", "hf", "sto-3g")
OPT = {"program": "psi4", "method": "hf", "basis": "sto-3g"}
KEEP = {"wavefunction": "all", "native_files": "all"}
ABSENT = 10**9


def length() -> float:
    """A bond length that no other test has, in Bohr."""
    return 1.4 + uuid.uuid4().int % 10**8 / 10**8


def hydrogen(**more: Any) -> Any:
    """A hydrogen molecule that no other test has."""
    return Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, length()], **more)


def add(client: PortalClient, tag: str, n: int = 1, **more: Any) -> list[int]:
    meta, ids = client.add_singlepoints([hydrogen() for _ in range(n)], *HF, compute_tag=tag, **more)
    assert meta.n_inserted == n
    return ids


# --- molecules ---------------------------------------------------------------------------------------------------


def test_a_molecule_comes_back_as_it_was(client: PortalClient) -> None:
    molecule = Molecule(
        symbols=["O", "H", "H", "He"],
        geometry=[0, 0, 0, 0, 1.5, 1, 0, -1.5, 1, 0, 0, 5 + length()],
        real=[True, True, True, False],
        mass_numbers=[18, 1, 2, 4],
        connectivity=[(0, 1, 1.0), (0, 2, 1.5)],
        fragments=[[0, 1, 2], [3]],
        fragment_charges=[1.0, 0.0],
        fragment_multiplicities=[2, 1],
        molecular_charge=1.0,
        molecular_multiplicity=2,
        identifiers={"smiles": "O", "canonical_isomeric_smiles": "[18OH2]"},
        extras={"nested": {"list": [1, 2.5, None], "text": "ångström"}},
        comment="what it is",
    )
    meta, (molecule_id,) = client.add_molecules(molecule)
    assert meta.inserted_idx == [0]
    got = client.get_molecules(molecule_id)
    assert got == molecule
    for name in (
        "molecular_charge",
        "fragment_charges",
        "fragment_multiplicities",
        "connectivity",
        "extras",
        "comment",
    ):
        assert str(getattr(got, name)) == str(getattr(molecule, name)), name
    assert (got.identifiers.smiles, got.identifiers.canonical_isomeric_smiles) == ("O", "[18OH2]")
    assert (got.geometry == molecule.geometry).all()
    assert (got.real == molecule.real).all()
    assert (got.masses == molecule.masses).all()


def test_one_of_several_molecules_may_miss(client: PortalClient) -> None:
    _, (molecule_id,) = client.add_molecules(hydrogen())
    with pytest.raises(errors.QCHiveError, match="requested records"):
        client.get_molecules([molecule_id, ABSENT])
    found = client.get_molecules([ABSENT, molecule_id], missing_ok=True)
    assert [m and m.id for m in found] == [None, molecule_id]


def test_formulas_are_found_in_any_order_of_their_elements(client: PortalClient) -> None:
    _, (molecule_id,) = client.add_molecules(Molecule(symbols=["Li", "H"], geometry=[0, 0, 0, 0, 0, 1 + length()]))
    formulas: tuple[Any, ...] = ("HLi", "LiH", ["He", "LiH"])
    for formula in formulas:
        assert molecule_id in [m.id for m in client.query_molecules(molecular_formula=formula)]
    assert list(client.query_molecules(molecule_id=molecule_id, molecular_formula="He")) == []


def test_identifiers_are_added_or_replaced(client: PortalClient) -> None:
    name = uuid.uuid4().hex
    _, (molecule_id,) = client.add_molecules(hydrogen(identifiers={"smiles": name}))
    assert [m.id for m in client.query_molecules(identifiers={"smiles": name})] == [molecule_id]
    assert client.modify_molecule(molecule_id, comment="a comment", identifiers={"inchi": "one"}).updated_idx == [0]
    got = client.get_molecules(molecule_id)
    assert (got.comment, got.identifiers.smiles, got.identifiers.inchi) == ("a comment", name, "one")
    client.modify_molecule(molecule_id, identifiers={"inchi": "two"}, overwrite_identifiers=True)
    got = client.get_molecules(molecule_id)
    assert (got.identifiers.smiles, got.identifiers.inchi) == (None, "two")
    assert got.identifiers.molecule_hash == got.get_hash()
    with pytest.raises(errors.QCHiveError, match="not found"):
        client.modify_molecule(ABSENT, name="nobody")


def test_molecules_that_records_use_stay(client: PortalClient) -> None:
    _, ids = client.add_molecules([hydrogen(), hydrogen()])
    client.add_singlepoints(ids[0], *HF)
    meta = client.delete_molecules([*ids, ABSENT])
    assert (meta.deleted_idx, meta.error_idx) == ([1, 2], [0])
    assert "referenced" in meta.error_string
    assert [m and m.id for m in client.get_molecules(ids, missing_ok=True)] == [ids[0], None]


def test_archives_of_molecules_are_uploaded(client: PortalClient, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("inside/he.json", json.dumps({"symbols": ["He"], "geometry": [0.0, 0.0, 0.0]}))
        archive.writestr("broken.xyz", "this is not a molecule")
    found, unread = client.upload_molecules(tmp_path / "more.zip")
    assert [name for name, _ in found["more.zip"]] == ["he.json"]
    assert len(unread) == 1
    assert "broken.xyz" in unread[0]


# --- adding ------------------------------------------------------------------------------------------------------


def test_one_input_or_many_by_object_or_by_id(client: PortalClient) -> None:
    first, second = hydrogen(), hydrogen()
    meta, (one,) = client.add_singlepoints(first, *HF)
    assert (meta.inserted_idx, meta.existing_idx) == ([0], [])
    _, molecule_ids = client.add_molecules([first, second])
    meta, ids = client.add_singlepoints([*molecule_ids, second], *HF)
    assert (meta.inserted_idx, meta.existing_idx) == ([1], [0, 2])
    assert ids == [one, ids[1], ids[1]]


def test_the_specification_comes_back_as_it_was(client: PortalClient, tag: str) -> None:
    keywords = {"maxiter": 50, "e_convergence": 1e-8, "deep": {"list": [1, None, "x"], "yes": True}}
    protocols = {"wavefunction": "all", "stdout": False, "native_files": "all"}
    _, (record_id,) = client.add_singlepoints(
        hydrogen(), "PSI4", "gradient", "B3LYP", "6-31G*", keywords, protocols, tag.upper(), "high"
    )
    record = client.get_singlepoints(record_id)
    spec = record.specification
    assert (spec.program, spec.driver, spec.method, spec.basis) == ("psi4", "gradient", "b3lyp", "6-31g*")
    assert spec.keywords == keywords
    assert (spec.protocols.wavefunction, spec.protocols.stdout, spec.protocols.native_files) == ("all", False, "all")
    assert (record.task.compute_tag, record.task.compute_priority) == (tag, PriorityEnum.high)


def test_an_optimizations_specification_comes_back_as_it_was(client: PortalClient) -> None:
    _, (record_id,) = client.add_optimizations(
        hydrogen(), "geomeTRIC", OPT | {"keywords": {"a": 1}}, {"maxiter": 7}, {"trajectory": "initial_and_final"}
    )
    spec = client.get_optimizations(record_id).specification
    assert (spec.program, spec.keywords, spec.protocols.trajectory) == (
        "geometric",
        {"maxiter": 7},
        "initial_and_final",
    )
    inner = spec.qc_specification
    assert (inner.program, inner.driver, inner.method, inner.keywords) == ("psi4", "deferred", "hf", {"a": 1})


def test_what_is_there_is_found_and_what_differs_is_not(client: PortalClient) -> None:
    molecule = hydrogen()
    _, (first,) = client.add_singlepoints(molecule, *HF, {"a": 1})
    meta, same = client.add_singlepoints(molecule, "PSI4", "energy", "HF", "STO-3G", {"a": 1})
    assert (meta.n_existing, same) == (1, [first])
    for basis, keywords in (("sto-3g", {"a": 2}), (None, {"a": 1})):
        assert client.add_singlepoints(molecule, "psi4", "energy", "hf", basis, keywords)[1] != [first]


@pytest.mark.parametrize("basis", [None, ""])
def test_no_basis_is_no_basis(client: PortalClient, basis: str | None) -> None:
    molecule = hydrogen()
    _, (record_id,) = client.add_singlepoints(molecule, "rdkit", "energy", "uff", basis)
    assert client.get_singlepoints(record_id).specification.basis is None
    for other in (None, ""):
        assert client.add_singlepoints(molecule, "rdkit", "energy", "uff", other)[1] == [record_id]


# --- getting -----------------------------------------------------------------------------------------------------


def test_records_come_in_the_order_asked_for(client: PortalClient, tag: str) -> None:
    ids = add(client, tag, 5)
    asked = [*ids[::-1], ids[3]]
    assert [r.id for r in client.get_records(asked)] == asked
    assert [r.id for r in client.get_singlepoints(range(ids[0], ids[0] + 1))] == ids[:1]
    with pytest.raises(errors.QCHiveError, match="requested records"):
        client.get_optimizations(ids[0])


def test_a_running_record_shows_its_manager_and_its_task(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag)
    manager.claim()
    record = client.get_records(record_id)
    assert record.status is RecordStatusEnum.running
    assert record.manager_name == manager.name
    assert record.task.function == "qcengine.compute"
    given = record.task.function_kwargs["input_data"]
    assert given["model"] == {"method": "hf", "basis": "sto-3g"}
    assert given["molecule"]["symbols"] == ["H", "H"]
    assert (record.compute_history, record.stdout) == ([], None)


def test_a_gradient_comes_back_as_a_flat_list(client: PortalClient, tag: str, manager: Manager) -> None:
    _, (record_id,) = client.add_singlepoints(hydrogen(), "psi4", "gradient", "hf", "sto-3g", compute_tag=tag)
    manager.run_all()
    assert list(client.get_singlepoints(record_id).return_result) == [0.0, 0.0, 0.25, 0.0, 0.0, -0.25]


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
    (record_id,) = add(client, tag, protocols=KEEP)
    manager.run_all()
    record = client.get_singlepoints(record_id, include=[asked])
    assert record.status is RecordStatusEnum.complete
    assert record.specification.method == "hf"
    record._client = None
    assert shown(record)


@pytest.mark.parametrize("pack", ["zstd", "zstd without its size", "lzma", "none"])
def test_compressed_parts_can_be_read_however_they_came(
    client: PortalClient, tag: str, manager: Manager, pack: str
) -> None:
    (record_id,) = add(client, tag, protocols=KEEP)
    (task,) = manager.claim()
    moved = {
        "_qcfractal_compressed_outputs": {"stdout": part("said ✓", pack)},
        "_qcfractal_compressed_native_files": {"input": part("given ✓", pack)},
    }
    result = finished(task) | {"stdout": None, "native_files": {}, "extras": moved}
    assert manager.give_back({task.id: result}).accepted_ids == [task.id]
    record = client.get_records(record_id)
    assert record.stdout == "said ✓"
    assert record.native_files["input"].data == "given ✓"
    assert record.extras == {}


def part(value: str, pack: str) -> dict[str, Any]:
    """A part moved out of the way, packed like this."""
    packed = msgpack.encode(value)
    if pack == "zstd without its size":
        stream = zstandard.ZstdCompressor().compressobj()
        data = stream.compress(packed) + stream.flush()
    else:
        data = {"zstd": zstandard.compress, "lzma": lzma.compress, "none": bytes}[pack](packed)
    return {"compression_type": pack.partition(" ")[0], "compression_level": 1, "data": data}


# --- querying ----------------------------------------------------------------------------------------------------


def test_records_are_found_by_what_they_compute(client: PortalClient) -> None:
    molecule = hydrogen()
    _, (molecule_id,) = client.add_molecules(molecule)
    _, (plain,) = client.add_singlepoints(molecule_id, *HF)
    _, (bare,) = client.add_singlepoints(molecule_id, "rdkit", "gradient", "uff", None, {"deep": {"k": 1}, "other": 2})
    _, (path,) = client.add_optimizations(molecule_id, "geometric", OPT)

    def single(**filters: Any) -> list[int]:
        return [r.id for r in client.query_singlepoints(molecule_id=molecule_id, **filters)]

    assert single(program="PSI4") == [plain]
    assert single(driver="gradient") == [bare]
    assert single(method=["uff", "b3lyp"]) == [bare]
    assert single(basis="STO-3G") == [plain]
    assert single(basis=None) == [bare, plain]
    assert single(basis="") == single(basis=[None]) == [bare]
    assert single(keywords={"deep": {"k": 1}}) == [bare]
    found = client.query_optimizations(initial_molecule_id=molecule_id, qc_method="hf", qc_program="psi4")
    assert [r.id for r in found] == [path]
    assert list(client.query_optimizations(initial_molecule_id=molecule_id, qc_basis="other")) == []
    assert [r.id for r in client.query_records(record_id=[plain, path], record_type="optimization")] == [path]


def test_optimizations_are_found_by_their_last_molecule(client: PortalClient, tag: str, manager: Manager) -> None:
    _, (path,) = client.add_optimizations(hydrogen(), "geometric", OPT, compute_tag=tag)
    manager.run_all()
    last = client.get_optimizations(path).final_molecule_id
    assert path in [r.id for r in client.query_optimizations(final_molecule_id=last, program="geometric")]


def test_records_are_found_by_managers_and_state(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = sorted(add(client, tag, 3), reverse=True)
    manager.run_all()
    assert [r.id for r in client.query_singlepoints(manager_name=manager.name)] == ids
    assert [r.id for r in client.query_records(history_manager_name=manager.name, limit=2)] == ids[:2]
    assert [r.id for r in client.query_records(record_id=ids, status="complete", limit=2)] == ids[:2]
    assert list(client.query_records(record_id=ids, status=["waiting", "error"])) == []


def test_records_are_found_by_their_times(client: PortalClient, tag: str) -> None:
    ids = add(client, tag, 2)
    first, hour = client.get_records(ids[0]), timedelta(hours=1)

    def found(**times: Any) -> int:
        return len(list(client.query_records(record_id=ids, **times)))

    assert found(created_after=first.created_on - hour) == 2
    assert found(created_before=first.created_on - hour) == 0
    assert found(modified_after=str(first.modified_on - hour)) == 2
    assert found(modified_before="2000-01-01") == 0


# --- managing ----------------------------------------------------------------------------------------------------


def test_comments_on_several_records_are_kept_in_order(client: PortalClient, tag: str) -> None:
    ids = add(client, tag, 2)
    meta = client.add_comment([*ids, ABSENT], "first")
    assert (meta.updated_idx, meta.error_idx) == ([0, 1], [2])
    assert "does not exist" in meta.error_string
    assert client.add_comment(ids[0], "second ✓").n_updated == 1
    comments = client.get_records(ids[0]).comments
    assert [(c.record_id, c.username, c.comment) for c in comments] == [
        (ids[0], None, "first"),
        (ids[0], None, "second ✓"),
    ]
    assert comments[0].timestamp <= comments[1].timestamp
    assert len(client.get_singlepoints(ids[1], include=["comments"]).comments) == 1


def test_records_of_different_states_are_moved_in_one_call(client: PortalClient, tag: str, manager: Manager) -> None:
    (done,) = add(client, tag)
    manager.run_all()
    (left,) = add(client, tag)
    both = [done, left]

    def statuses() -> list[str]:
        return [r.status.value for r in client.get_records(both)]

    assert (client.cancel_records(both).updated_idx, statuses()) == ([1], ["complete", "cancelled"])
    assert client.get_records(left).task is None
    assert (client.uncancel_records(left).n_updated, statuses()) == (1, ["complete", "waiting"])
    assert (client.invalidate_records(both).updated_idx, statuses()) == ([0], ["invalid", "waiting"])
    assert (client.uninvalidate_records(done).n_updated, statuses()) == (1, ["complete", "waiting"])
    assert (client.delete_records(both).deleted_idx, statuses()) == ([0, 1], ["deleted", "deleted"])
    assert (client.undelete_records(both).n_updated, statuses()) == (2, ["complete", "waiting"])
    meta = client.modify_records(both, new_compute_tag="Other", new_compute_priority="low")
    assert (meta.updated_idx, meta.error_idx) == ([1], [0])
    task = client.get_records(left).task
    assert (task.compute_tag, task.compute_priority) == ("other", PriorityEnum.low)
    meta = client.delete_records([left, ABSENT], soft_delete=False)
    assert (meta.deleted_idx, meta.n_deleted) == ([0, 1], 2)
    assert client.get_records(left, missing_ok=True) is None


@pytest.mark.parametrize(
    ("soft", "children", "after", "n_children"),
    [
        (True, True, ["deleted", "deleted", "deleted"], 2),
        (True, False, ["deleted", "complete", "complete"], 0),
        (False, True, [None, None, None], 2),
        (False, False, [None, "complete", "complete"], 0),
    ],
)
def test_an_optimization_is_deleted_in_four_ways(
    client: PortalClient, tag: str, manager: Manager, soft: bool, children: bool, after: list[str], n_children: int
) -> None:
    _, (parent,) = client.add_optimizations(hydrogen(), "geometric", OPT, compute_tag=tag)
    manager.run_all()
    ids = [parent, *(step.id for step in client.get_optimizations(parent).trajectory)]
    assert client.delete_records(parent, soft_delete=soft, delete_children=children) == DeleteMetadata(
        deleted_idx=[0], n_children_deleted=n_children
    )
    assert [record and record.status for record in client.get_records(ids, missing_ok=True)] == after


def test_a_record_in_hand_stays_as_it_was_fetched(client: PortalClient, tag: str) -> None:
    (record_id,) = add(client, tag)
    seen, bare = client.get_records([record_id, record_id])
    assert (seen.task.tag, seen.comments) == (tag, [])
    client.modify_records(record_id, new_tag="later")
    client.add_comment(record_id, "later")
    assert (seen.task.tag, seen.comments) == (tag, []), "what was looked at is kept"
    assert (bare.task.tag, len(bare.comments)) == ("later", 1), "what was not is fetched now"
    client.cancel_records(record_id)
    assert (bare.status, bare.task.tag) == (RecordStatusEnum.waiting, "later")
    anew = client.get_records(record_id, include=["task", "comments"])
    assert (anew.status, anew.task, len(anew.comments)) == (RecordStatusEnum.cancelled, None, 1)
    client.uncancel_records(record_id)
    assert (anew.status, anew.task) == (RecordStatusEnum.cancelled, None)
    assert client.get_records(record_id).task.tag == "later"


def test_index_lists_have_no_gaps(client: PortalClient, tag: str, manager: Manager) -> None:
    (done,) = add(client, tag)
    manager.run_all()
    (left,) = add(client, tag)
    asked = [left, ABSENT, done, left, ABSENT]
    calls: list[Callable[[list[int]], Any]] = [client.reset_records, client.cancel_records, client.uncancel_records]
    calls += [client.invalidate_records, client.uninvalidate_records, lambda ids: client.add_comment(ids, "x")]
    calls += [lambda ids: client.modify_records(ids, new_compute_tag="other"), client.delete_records]
    calls += [client.undelete_records, lambda ids: client.delete_records(ids, soft_delete=False)]
    for call in calls:
        answer = call(asked)
        changed = answer.deleted_idx if hasattr(answer, "deleted_idx") else answer.updated_idx
        assert sorted([*changed, *answer.error_idx]) == list(range(len(asked))), answer


def test_a_waiting_record_says_which_program_is_missing(client: PortalClient, tag: str, manager: Manager) -> None:
    _, (record_id,) = client.add_singlepoints(hydrogen(), "other", "energy", "hf", None, compute_tag=tag)
    why = client.get_waiting_reason(record_id)
    assert "other" in why["details"][manager.name]
    assert client.get_records(record_id).get_waiting_reason()["reason"] == why["reason"]


def test_results_nobody_waits_for_are_refused_one_by_one(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = add(client, tag, 3)
    tasks = {task.record_id: task for task in manager.claim()}
    client.cancel_records(ids[0])
    client.delete_records(ids[1], soft_delete=False)
    unknown = 10**15
    made = {task.id: finished(task) for task in tasks.values()} | {unknown: finished(tasks[ids[2]])}
    answer = manager.give_back(made)
    assert answer.success
    assert answer.accepted_ids == [tasks[ids[2]].id]
    assert sorted(answer.rejected_ids) == sorted([tasks[ids[0]].id, tasks[ids[1]].id, unknown])
    assert client.get_records(ids[0]).status is RecordStatusEnum.cancelled


def test_managers_are_listed_over_several_pages(client: PortalClient, tag: str) -> None:
    client.server_info["api_limits"] = client.api_limits | {"get_managers": 8}
    names = [Manager(client.connection, (tag,)).name for _ in range(5)]
    found = [m for m in client.query_managers(cluster="tests", status="active") if m.compute_tags == [tag]]
    assert [m.name for m in found] == names[::-1]
    assert [m and m.name for m in client.get_managers([names[2], "nobody"], missing_ok=True)] == [names[2], None]
    assert sorted(client.query_active_managers(tag, {"psi4": []})) == sorted(names)
    assert client.query_active_managers(tag, {"other": []}) == []
