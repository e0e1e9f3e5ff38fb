"""What would break the unmodified client and manager without anybody meaning it, each looked for on our server."""

from __future__ import annotations

import itertools
import json
import lzma
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
import requests
import zstandard
from qcportal import ManagerClient, PortalClient
from qcportal.managers import ManagerName
from qcportal.metadata_models import DeleteMetadata, InsertMetadata, UpdateMetadata
from qcportal.molecules import Molecule
from qcportal.optimization import OptimizationRecord
from qcportal.singlepoint import QCSpecification, SinglepointProtocols, SinglepointRecord

from qchive.api import endpoints
from qchive.errors import LimitTooSmall
from qchive.server.access import OF_ACCOUNTS
from qchive.server.settings import Settings
from tests.archive import prepared, running
from tests.interop.manager import failed, finished
from tests.interop.peers import portal, wait_until
from tests.runners import add_job

PROGRAMS = {"qcengine": ["0.52"], "psi4": ["1.9"], "geometric": ["1.1"]}
TYPES = ["application/json", "application/msgpack"]
RECORDS = {"singlepoint": SinglepointRecord, "optimization": OptimizationRecord}
HF = ("psi4", "energy", "hf", "sto-3g")


@pytest.fixture(scope="module")
def address(databases: Any) -> Iterator[str]:
    with prepared(databases) as conninfo, running(conninfo) as server:
        assert add_job(conninfo, "nobody runs it") == 1
        yield server.address


@pytest.fixture
def client(address: str) -> PortalClient:
    return portal(address)


@pytest.fixture
def tag() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
def manager(address: str, tag: str) -> Manager:
    return Manager(address, tag)


class Manager(ManagerClient):  # type: ignore[misc]
    """The peer's connection of a manager, which announces itself."""

    def __init__(self, address: str, tag: str) -> None:
        name = ManagerName(cluster="traps", hostname="here", uuid=str(uuid.uuid4()))
        super().__init__(name, address)
        self.name = name.fullname
        self.retry_max = 0
        self.activate("0.71", PROGRAMS, [tag])


def packed(result: dict[str, Any]) -> bytes:
    return zstandard.compress(msgspec.msgpack.encode(result))


def work(manager: Manager, tag: str, *, fail: bool = False) -> None:
    """Claim all, and return results made by hand."""
    tasks = manager.claim(PROGRAMS, [tag], 50)
    assert tasks
    made = {task.id: packed(failed() if fail else finished(task)) for task in tasks}
    assert sorted(manager.return_finished(made).accepted_ids) == sorted(made)


def hydrogen() -> Molecule:
    """A hydrogen molecule that no other test has."""
    return Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, 1.4 + uuid.uuid4().int % 10**8 / 10**8])


# --- what every answer must be like ------------------------------------------------------------------------------


def family(client: PortalClient, manager: Manager, tag: str) -> list[tuple[str, int]]:
    """Records of both types in every state: type and id."""
    keep = SinglepointProtocols(wavefunction="all", native_files="all")
    spec = QCSpecification(program="psi4", driver="deferred", method="hf", basis="sto-3g")

    def add(kind: str) -> tuple[str, int]:
        if kind == "singlepoint":
            return kind, client.add_singlepoints(hydrogen(), *HF, None, keep, compute_tag=tag)[1][0]
        return kind, client.add_optimizations(hydrogen(), "geometric", spec, compute_tag=tag)[1][0]

    made = [add(kind) for kind in RECORDS]
    work(manager, tag)
    made += [add(kind) for kind in RECORDS]
    work(manager, tag, fail=True)
    made += [add(kind) for kind in RECORDS]
    manager.claim(PROGRAMS, [tag], 50)
    kind, record_id = add("singlepoint")
    client.cancel_records(record_id)
    return [*made, *(add(kind) for kind in RECORDS), (kind, record_id)]


def addresses(client: PortalClient, manager: Manager, tag: str) -> Iterator[str]:
    """Every address that answers GET, for each of the records where it is about records."""
    records = family(client, manager, tag)
    rule = {"name": tag, "filter": {"method": [tag]}, "record_type": "singlepoint", "enabled": False}
    rule["specification"] = {"program": "psi4", "driver": "energy", "method": "hf", "basis": "sto-3g"}
    answer = httpx.post(f"{client.address.rstrip('/')}/api/v1/rules", json=rule)
    assert answer.status_code == 200, answer.text
    ids = {"job_id": 1, "operation_id": 1, "rule_id": answer.json()["id"], "name": manager.name}
    for row in endpoints():
        path = row.path.replace(":int", "").replace(":path", "")
        if row.method != "GET" or (row.may or "").partition(":")[0] in OF_ACCOUNTS:
            continue  # about accounts there is nothing to say where nobody logs in; tests/api asks for both encodings
        if "{record_id}" not in path:
            molecule_id = client.get_records(records[0][1]).molecule_id
            yield path.format(molecule_id=molecule_id, **ids)
            continue
        for kind, record_id in records:
            if row.kind is None or row.kind.name == kind:
                record = client.get_records(record_id)
                attempts = [attempt.id for attempt in record.compute_history] if "{history_id}" in path else [0]
                files = list(record.native_files or ()) if "{name}" in path else [""]
                for attempt, name in itertools.product(attempts, files):
                    yield path.format(record_id=record_id, history_id=attempt, name=name, output_type="stdout")


@pytest.mark.parametrize("content_type", TYPES)
def test_every_answer_is_200_with_a_body_and_a_bare_content_type(
    address: str, client: PortalClient, manager: Manager, tag: str, content_type: str
) -> None:
    looked_at, nothing = 0, 0
    with httpx.Client(base_url=address, headers={"Accept": content_type}) as raw:
        for path in addresses(client, manager, tag):
            answer = raw.get(path)
            if answer.status_code == 400 and path.endswith("/wavefunction/data"):
                continue  # there is none: an error at the peer, too
            assert answer.status_code == 200, (path, answer.text)
            assert answer.headers["content-type"] == content_type, path
            assert answer.content, path
            looked_at += 1
            nothing += answer.content in (b"null", b"\xc0")
    assert looked_at > 100
    assert nothing > 10


@pytest.mark.parametrize("content_type", TYPES)
def test_a_heartbeat_and_a_farewell_are_answered_with_null(address: str, manager: Manager, content_type: str) -> None:
    said = {"active_tasks": 0, "active_cores": 0, "active_memory": 0.0, "total_cpu_hours": 0.0}
    for status in ("active", "inactive"):
        answer = httpx.patch(
            f"{address}/compute/v1/managers/{manager.name}",
            content=json.dumps({"status": status, **said}),
            headers={"Content-Type": "application/json", "Accept": content_type},
        )
        assert answer.status_code == 200
        assert answer.headers["content-type"] == content_type
        assert answer.content in (b"null", b"\xc0")


def test_an_error_is_json_whatever_was_asked_for(address: str) -> None:
    for path in ("/api/v1/records/1000000000", "/api/v1/nowhere"):
        answer = httpx.get(address + path, headers={"Accept": "application/msgpack"})
        assert answer.status_code in (400, 404)
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json()["msg"], str)


def test_a_ping_with_two_slashes_is_answered(client: PortalClient, address: str) -> None:
    assert client.ping()
    answer = httpx.get(f"{address}//api/v1/ping")
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "authorized": True}


def test_a_request_may_name_its_charset(address: str) -> None:
    answer = httpx.post(
        f"{address}/api/v1/records/query",
        content='{"record_id": [1]}',
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 200


# --- closed models -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include", [None, ["**"]])
def test_records_have_exactly_the_fields_of_the_closed_models(
    address: str, client: PortalClient, manager: Manager, tag: str, include: list[str] | None
) -> None:
    for kind, record_id in family(client, manager, tag):
        answer = httpx.get(f"{address}/api/v1/records/{kind}/{record_id}", params={"include": include or []}).json()
        RECORDS[kind].model_validate(answer)
        always = {"properties", "extras", "manager_name", "owner_user", "specification", "is_service"}
        of_kind = {
            "singlepoint": {"molecule_id"},
            "optimization": {"initial_molecule_id", "final_molecule_id", "energies"},
        }
        assert (always | of_kind[kind]) - answer.keys() == set()
        if include:
            assert {"compute_history", "task", "comments", "native_files"} - answer.keys() == set()


def test_our_own_fields_are_sent_only_when_asked_for(address: str, client: PortalClient) -> None:
    molecule_id = client.add_molecules([hydrogen()])[1][0]
    client.get_molecules(molecule_id)
    manager = Manager(address, "closed")
    assert client.get_managers(manager.name).compute_tags == ["closed"]
    assert manager.heartbeat(0, 0, 0.0, 0.0) is None


# --- metadata ----------------------------------------------------------------------------------------------------


def whole(lists: list[list[int]], n: int) -> bool:
    """Whether the lists are sorted, and together every position once."""
    return all(one == sorted(one) for one in lists) and sorted(itertools.chain(*lists)) == list(range(n))


def test_index_lists_have_no_gaps(address: str, client: PortalClient, manager: Manager, tag: str) -> None:
    first, second = hydrogen(), hydrogen()
    for again in range(2):
        answer = client.add_molecules([first, second, first])[0]
        assert isinstance(answer, InsertMetadata)
        assert whole([answer.inserted_idx, answer.existing_idx, answer.error_idx], 3)
        answer, ids = client.add_singlepoints([first, first, second], *HF, compute_tag=tag, find_existing=bool(again))
        assert whole([answer.inserted_idx, answer.existing_idx, answer.error_idx], 3)
        assert len(ids) == 3
    work(manager, tag)
    (left,) = client.add_singlepoints(hydrogen(), *HF, compute_tag=tag)[1]
    asked = [left, 10**9, ids[0], left, 10**9, ids[2], ids[0]]
    calls = [client.reset_records, client.cancel_records, client.uncancel_records, client.invalidate_records]
    calls += [client.uninvalidate_records, lambda ids: client.add_comment(ids, "x")]
    calls += [lambda ids: client.modify_records(ids, new_compute_tag="other"), client.delete_records]
    calls += [client.undelete_records, lambda ids: client.delete_records(ids, soft_delete=False)]
    for call in calls:
        answer = call(asked)
        done = answer.deleted_idx if isinstance(answer, DeleteMetadata) else answer.updated_idx
        assert isinstance(answer, (UpdateMetadata, DeleteMetadata))
        assert whole([done, answer.error_idx], len(asked)), call
    answer = client.delete_molecules([10**9, client.add_molecules([first])[1][0], 10**9])
    assert whole([answer.deleted_idx, answer.error_idx], 3)


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits", [{"get_records": 9}, {"get_molecules": 3}, {"get_managers": 0}, {"add_records": 0}, {"get_record": 100}]
)
def test_limits_that_would_leave_clients_with_nothing_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(LimitTooSmall):
        Settings(api_limits=limits).check()


def test_the_smallest_limits_are_enough_for_the_client(databases: Any) -> None:
    settings = Settings(api_limits={"get_records": 10, "get_molecules": 4, "get_managers": 4})
    settings.check()
    with prepared(databases) as conninfo, running(conninfo, settings) as server:
        client = portal(server.address)
        _, ids = client.add_singlepoints([hydrogen() for _ in range(12)], *HF)
        assert [r.id for r in client.get_records(ids)] == ids
        assert [r.id for r in client.query_records(record_id=ids)] == ids[::-1]
        molecules = [r.molecule_id for r in client.get_records(ids)]
        assert [m.id for m in client.get_molecules(molecules)] == molecules


# --- compressed parts --------------------------------------------------------------------------------------------


def streamed(value: Any) -> bytes:
    """A frame as a streaming compressor writes it: without the size of its content."""
    compressor = zstandard.ZstdCompressor().compressobj()
    frame = compressor.compress(msgspec.msgpack.encode(value)) + compressor.flush()
    assert zstandard.frame_content_size(frame) == -1
    return frame


@pytest.mark.parametrize(
    ("compression", "pack"),
    [
        ("zstd", streamed),
        ("zstd", lambda value: zstandard.compress(msgspec.msgpack.encode(value))),
        ("lzma", lambda value: lzma.compress(msgspec.msgpack.encode(value))),
        ("none", msgspec.msgpack.encode),
    ],
    ids=["zstd-streamed", "zstd", "lzma", "none"],
)
def test_compressed_parts_can_be_read_however_they_came(
    client: PortalClient, manager: Manager, tag: str, compression: str, pack: Any
) -> None:
    keep = SinglepointProtocols(native_files="all")
    (record_id,) = client.add_singlepoints(hydrogen(), *HF, None, keep, compute_tag=tag)[1]
    (task,) = manager.claim(PROGRAMS, [tag], 1)
    result = finished(task) | {"stdout": None, "native_files": {}}

    def part(value: str) -> dict[str, Any]:
        return {"compression_type": compression, "compression_level": 1, "data": pack(value)}

    result["extras"] = {
        "_qcfractal_compressed_outputs": {"stdout": part("said ✓")},
        "_qcfractal_compressed_native_files": {"input": part("given ✓")},
    }
    answer = manager.return_finished({task.id: packed(result)})
    assert answer.accepted_ids == [task.id]
    record = client.get_records(record_id)
    assert record.stdout == "said ✓"
    assert record.native_files["input"].data == "given ✓"
    assert record.extras == {}


def test_a_result_packed_as_a_stream_is_taken(client: PortalClient, manager: Manager, tag: str) -> None:
    (record_id,) = client.add_singlepoints(hydrogen(), *HF, compute_tag=tag)[1]
    (task,) = manager.claim(PROGRAMS, [tag], 1)
    assert manager.return_finished({task.id: streamed(finished(task))}).accepted_ids == [task.id]
    assert client.get_records(record_id).return_result == -1.0


# --- managers ----------------------------------------------------------------------------------------------------


@contextmanager
def away(conninfo: str) -> Iterator[None]:
    """The time during which a database throws everybody out and lets nobody in."""
    name = conninfo.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(conninfo.replace(f"/{name}?", "/postgres?"), autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def test_without_a_database_a_manager_is_cut_off_instead_of_refused(databases: Any, tag: str) -> None:
    with prepared(databases) as conninfo, running(conninfo, Settings(database_patience=0.5)) as server:
        client, manager = portal(server.address), Manager(server.address, tag)
        client.add_singlepoints(hydrogen(), *HF, compute_tag=tag)
        (task,) = manager.claim(PROGRAMS, [tag], 1)
        result = {task.id: packed(finished(task))}
        with away(conninfo):
            for ask in (
                lambda: manager.claim(PROGRAMS, [tag], 1),
                lambda: manager.return_finished(result),
                lambda: manager.heartbeat(1, 1, 1.0, 0.0),
            ):
                with pytest.raises((ConnectionError, requests.exceptions.ConnectionError)):
                    ask()

        def returned() -> Any:
            with suppress(ConnectionError, requests.exceptions.ConnectionError):
                return manager.return_finished(result)

        assert wait_until(returned).accepted_ids == [task.id]


@pytest.mark.parametrize("bad", [b"", b"rubbish", packed({"schema_name": "other"}), zstandard.compress(b"\xc1")])
def test_a_result_that_makes_no_sense_costs_neither_its_neighbours_nor_the_manager(
    client: PortalClient, manager: Manager, tag: str, bad: bytes
) -> None:
    ids = client.add_singlepoints([hydrogen(), hydrogen()], *HF, compute_tag=tag)[1]
    tasks = {task.record_id: task for task in manager.claim(PROGRAMS, [tag], 2)}
    good, wrong = (tasks[i] for i in ids)
    answer = manager.return_finished({wrong.id: bad, good.id: packed(finished(good))})
    assert answer.accepted_ids == [good.id]
    assert answer.rejected_ids == [wrong.id]
    assert [r.status.value for r in client.get_records(ids)] == ["complete", "error"]
    assert client.get_records(ids[1]).error["error_message"]


def test_results_nobody_waits_for_are_refused_one_by_one(client: PortalClient, manager: Manager, tag: str) -> None:
    ids = client.add_singlepoints([hydrogen() for _ in range(3)], *HF, compute_tag=tag)[1]
    tasks = {task.record_id: task for task in manager.claim(PROGRAMS, [tag], 3)}
    client.cancel_records(ids[0])
    client.delete_records(ids[1], soft_delete=False)
    made = {task.id: packed(finished(task)) for task in tasks.values()} | {10**15: packed(finished(tasks[ids[2]]))}
    answer = manager.return_finished(made)
    assert answer.success
    assert answer.accepted_ids == [tasks[ids[2]].id]
    assert sorted(answer.rejected_ids) == sorted([tasks[ids[0]].id, tasks[ids[1]].id, 10**15])
    assert manager.return_finished(made).accepted_ids == answer.accepted_ids
    assert client.get_records(ids[0]).status == "cancelled"
