"""Our client looks after internal jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qchive import PortalClient, errors
from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.run import Run
from tests.archive import prepared, running
from tests.factories import until
from tests.runners import Gate, add_job, running_jobs

LATER = datetime(2999, 1, 1, tzinfo=UTC)


async def fail(run: Run) -> None:
    raise errors.InvalidRequest("nothing to do")


@pytest.fixture(scope="module")
def server(databases: Any) -> Iterator[Any]:
    settings = Settings(api_limits={"get_internal_jobs": 8})
    with prepared(databases) as conninfo, running(conninfo, settings) as server:
        yield server


@pytest.fixture
def client(server: Any) -> Iterator[PortalClient]:
    with PortalClient(server.address) as client:
        yield client


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def test_a_job_has_what_the_server_says(server: Any, client: PortalClient) -> None:
    job_id = add_job(server.conninfo, name="a name", kwargs={"n": 1}, scheduled=LATER)
    job = client.get_internal_job(job_id)
    assert (job.id, job.name, job.status, job.kwargs, job.result) == (job_id, "a name", "waiting", {"n": 1}, None)
    assert (job.scheduled_date, job.duration, job.duration_str, job.is_over) == (LATER, timedelta(), "0:00:00", False)
    assert repr(job) == f"<InternalJob id={job_id} name='a name' status=waiting 0 %>"
    assert "progress" in dir(job)
    with pytest.raises(AttributeError, match="has no colour"):
        _ = job.colour


def test_a_job_that_does_not_exist_is_named(client: PortalClient) -> None:
    with pytest.raises(errors.NotFound, match="Internal job with id=99999 not found"):
        client.get_internal_job(99999)
    client.cancel_internal_job(99999)
    client.delete_internal_job(99999)


def test_watching_a_job_to_its_end(server: Any, client: PortalClient, gate: Gate) -> None:
    with running_jobs(server.conninfo, {"gate": gate}):
        job_id = add_job(server.conninfo, "gate")
        until(lambda: gate.entered)
        job = client.get_internal_job(job_id)
        with pytest.raises(TimeoutError, match=f"internal job {job_id}"):
            job.watch(interval=0.01, timeout=0.05)
        assert timedelta() < job.duration < timedelta(minutes=5)
        gate.open.set()
        job.watch(interval=0.01)
    assert (job.status, job.result, job.progress) == ("complete", "through", 100)
    assert job.duration == job.ended_date - job.started_date


def test_watching_a_failure_says_what_went_wrong(
    server: Any, client: PortalClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_jobs(server.conninfo, {"fail": fail}):
        job = client.get_internal_job(add_job(server.conninfo, "fail"))
        job.watch(interval=0.01, timeout=40)
    assert "nothing to do" in capsys.readouterr().out


def test_jobs_from_a_query_can_be_watched_too(server: Any, client: PortalClient) -> None:
    ids = [add_job(server.conninfo, name="queried", scheduled=LATER) for _ in range(5)]
    found = list(client.query_internal_jobs(name="queried", scheduled_after="2998-01-01"))
    assert [job.id for job in found] == ids[::-1]
    assert len(list(client.query_internal_jobs(name="queried", limit=3))) == 3
    client.cancel_internal_job(ids[0])
    found[-1].watch(timeout=40)
    assert (found[-1].status, found[-1].is_over) == ("cancelled", True)
    client.delete_internal_job(ids[1])
    with pytest.raises(errors.NotFound):
        found[-2].refresh()


def test_a_filter_that_does_not_exist_is_named(client: PortalClient) -> None:
    with pytest.raises(TypeError, match="there is no filter colour"):
        client.query_internal_jobs(colour="red")
