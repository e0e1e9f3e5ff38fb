"""Internal jobs: the peer's client, unmodified, at our server; our client at the peer's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from qcportal import PortalClient as PeerClient
from qcportal import PortalRequestError
from qcportal.internal_jobs import InternalJobStatusEnum

from qchive import PortalClient, errors
from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.run import Run
from tests.archive import prepared, running
from tests.factories import until
from tests.interop.conftest import Server
from tests.interop.peers import portal
from tests.runners import Gate, add_job, running_jobs


async def fail(run: Run) -> None:
    raise ValueError("somewhere deep inside")


@pytest.fixture(scope="module")
def ours(databases: Any) -> Iterator[Any]:
    with prepared(databases) as conninfo, running(conninfo, Settings(api_limits={"get_internal_jobs": 8})) as server:
        yield server


@pytest.fixture(params=["application/json", "application/msgpack"])
def peer_client(ours: Any, request: pytest.FixtureRequest) -> PeerClient:
    return portal(ours.address, request.param)


def test_the_peers_client_watches_a_job(ours: Any, peer_client: PeerClient) -> None:
    gate = Gate()
    job_id = add_job(ours.conninfo, "gate", "one", kwargs={"deep": [1, {"x": None}]}, username="ann")
    job = peer_client.get_internal_job(job_id)
    assert (job.status, job.name, job.user) == (InternalJobStatusEnum.waiting, "one", "ann")
    assert job.kwargs == {"deep": [1, {"x": None}]}
    assert job.duration == timedelta()
    with running_jobs(ours.conninfo, {"gate": gate}):
        until(lambda: gate.entered)
        with pytest.raises(TimeoutError):
            job.watch(interval=0.05, timeout=0.1)
        until(lambda: peer_client.get_internal_job(job_id).progress_description == "at the gate")
        gate.open.set()
        job.watch(interval=0.05)
    assert (job.status, job.result, job.progress) == (InternalJobStatusEnum.complete, "through", 100)
    assert job.duration == job.ended_date - job.started_date
    assert job.duration_str


def test_the_peers_client_sees_a_failure(
    ours: Any, peer_client: PeerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    job = peer_client.get_internal_job(add_job(ours.conninfo, "fail"))
    with running_jobs(ours.conninfo, {"fail": fail}):
        job.watch(interval=0.05)
    assert job.status == InternalJobStatusEnum.error
    assert "ValueError. An internal error occurred." in capsys.readouterr().out


def test_the_peers_client_queries_jobs(ours: Any, peer_client: PeerClient) -> None:
    before = datetime.now(UTC)
    name = f"queried with {peer_client.encoding}"
    ids = [add_job(ours.conninfo, "nobody knows it", name, username=f"user {n % 2}") for n in range(10)]

    def found(**filters: Any) -> list[int]:
        return [job.id for job in peer_client.query_internal_jobs(name=name, **filters)]

    assert found() == ids[::-1], "pages of two"
    assert found(limit=3) == ids[:-4:-1]
    assert found(job_id=ids[:2]) == found(job_id=ids[:2], status="waiting") == ids[1::-1]
    assert found(user="user 1") == ids[::-2]
    assert found(added_after=before) == found(scheduled_before="2999-01-01") == ids[::-1]
    assert found(added_before=before) == found(runner_hostname="nowhere") == found(last_updated_after=before) == []


def test_the_peers_client_cancels_and_removes_jobs(ours: Any, peer_client: PeerClient) -> None:
    waiting, gone = (add_job(ours.conninfo, "nobody knows it") for _ in range(2))
    assert peer_client.cancel_internal_job(waiting) is None
    job = peer_client.get_internal_job(waiting)
    assert job.status == InternalJobStatusEnum.cancelled
    assert job.ended_date is not None
    assert peer_client.delete_internal_job(gone) is None
    assert peer_client.delete_internal_job(gone) is None
    with pytest.raises(PortalRequestError, match=f"Internal job with id={gone} not found"):
        peer_client.get_internal_job(gone)


def test_the_peers_client_cancels_a_running_job(ours: Any, peer_client: PeerClient) -> None:
    gate = Gate()
    job_id = add_job(ours.conninfo, "gate")
    with running_jobs(ours.conninfo, {"gate": gate}):
        until(lambda: gate.entered)
        peer_client.cancel_internal_job(job_id)
        assert peer_client.get_internal_job(job_id).status == InternalJobStatusEnum.cancelled
        until(lambda: peer_client.get_internal_job(job_id).ended_date is not None)
    assert gate.left == [job_id]


@pytest.mark.parametrize("encoding", ["application/json", "application/msgpack"])
def test_our_client_looks_at_the_peers_jobs(peer_server: Server, encoding: str) -> None:
    with PortalClient(peer_server.url, encoding=encoding) as client:
        newest, *_ = client.query_internal_jobs(limit=3)
        newest.refresh()
        job = client.get_internal_job(newest.id)
        assert (job.id, job.name, job.added_date) == (newest.id, newest.name, newest.added_date)
        assert job.duration >= timedelta()
        with pytest.raises(errors.QCHiveError, match="Internal job with id=999999999 not found"):
            client.get_internal_job(999999999)
        client.cancel_internal_job(999999999)
        client.delete_internal_job(999999999)
