"""Looking at internal jobs: by filters, in pages and in part."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.archive import prepared, running
from tests.factories import Http, http, sql
from tests.runners import add_job

from qchive.server.settings import Settings


@pytest.fixture(scope="module")
def four(shared: Any) -> None:
    """Four jobs: two wait, one runs, one is over."""
    for n in range(1, 5):
        add_job(
            shared.conninfo,
            name="odd" if n % 2 else "even",
            username="ann" if n < 3 else None,
            scheduled=datetime(2030 + n, 1, 1, tzinfo=UTC),
        )
    sql(
        shared.conninfo,
        "UPDATE job SET status = (CASE id WHEN 3 THEN 'running' ELSE 'error' END)::job_status, started_date = now(),"
        " last_updated = '2020-01-01Z', ended_date = CASE id WHEN 4 THEN now() END, runner_hostname = 'node' || id"
        " WHERE id > 2",
    )


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, [4, 3, 2, 1]),
        ({"job_id": [1, 3, 99]}, [3, 1]),
        ({"job_id": []}, []),
        ({"name": ["odd", "x"]}, [3, 1]),
        ({"user": ["ann"]}, [2, 1]),
        ({"user": [7]}, []),
        ({"runner_hostname": ["node3"]}, [3]),
        ({"status": ["WAITING"]}, [2, 1]),
        ({"status": ["running", "error"], "name": ["even"]}, [4]),
        ({"last_updated_before": "2021-01-01T00:00:00"}, [4, 3]),
        ({"last_updated_after": "2021-01-01T00:00:00Z"}, []),
        ({"added_before": "2999-01-01T00:00:00Z", "added_after": "2020-01-01T00:00:00Z"}, [4, 3, 2, 1]),
        ({"scheduled_after": "2032-01-01T00:00:00Z"}, [4, 3]),
        ({"scheduled_before": "2032-01-01T00:00:00Z"}, [1]),
        ({"limit": 2}, [4, 3]),
        ({"limit": 2, "cursor": 3}, [2, 1]),
        ({"limit": 0}, []),
        ({"include": None, "exclude": None, "limit": None, "cursor": None, "name": None}, [4, 3, 2, 1]),
    ],
)
def test_jobs_are_found_by_filters(shared_api: Http, four: None, filters: dict[str, Any], wanted: list[int]) -> None:
    assert [job["id"] for job in shared_api.post("internal_jobs/query", filters)] == wanted


def test_jobs_can_be_asked_for_in_part(shared_api: Http, four: None) -> None:
    body = {"job_id": [1], "include": ["status", "nonsense"]}
    assert shared_api.post("internal_jobs/query", body) == [{"id": 1, "status": "waiting"}]
    (some,) = shared_api.post("internal_jobs/query", {"job_id": [1], "exclude": ["id", "kwargs"]})
    assert "kwargs" not in some
    assert some["id"] == 1


def test_a_page_is_no_longer_than_the_server_allows(databases: Any) -> None:
    with (
        prepared(databases) as conninfo,
        running(conninfo, Settings(api_limits={"get_internal_jobs": 4})) as server,
        http(server.address) as api,
    ):
        for _ in range(6):
            add_job(conninfo)
        assert len(api.post("internal_jobs/query", {})) == 4
        assert len(api.post("internal_jobs/query", {"limit": 100})) == 4


def test_what_cannot_be_done_is_said(shared_api: Http, four: None) -> None:
    refusal = shared_api.refused("GET", "/api/v1/internal_jobs/99")
    assert (refusal.status, refusal.reply["msg"]) == (400, "Internal job with id=99 not found")
    for status in ("running", "WAITING"):
        refusal = shared_api.refused("PUT", "/api/v1/internal_jobs/1/status", status)
        said = f"Invalid status for updating internal job: {status.lower()}"
        assert (refusal.status, refusal.reply["msg"]) == (400, said)
    for body in ("nonsense", None, {"status": "cancelled"}):
        assert shared_api.refused("PUT", "/api/v1/internal_jobs/1/status", body).reply["code"] == "invalid_body"
    assert shared_api.ask("PUT", "/api/v1/internal_jobs/99/status", "CANCELLED") is None
    assert shared_api.ask("DELETE", "/api/v1/internal_jobs/99") is None
