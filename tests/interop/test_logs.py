"""Logs, statistics and the message of the day: the peer's client, unmodified, at our server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from qcportal import PortalClient as PeerClient
from qcportal import PortalRequestError
from qcportal.serverinfo.models import AccessLogEntry, ErrorLogEntry, ServerStatsEntry

from qchive import PortalClient
from qchive.server import statistics
from qchive.server.settings import Settings
from tests.archive import prepared, running
from tests.factories import add, complete, http, sql, until
from tests.interop.peers import portal
from tests.runners import do


@pytest.fixture
def ours(databases: Any) -> Iterator[Any]:
    settings = Settings(log_access=True, api_limits={"get_access_logs": 8, "get_error_logs": 8})
    with prepared(databases) as conninfo, running(conninfo, settings) as server:
        yield server


@pytest.fixture(params=["application/json", "application/msgpack"])
def peer_client(ours: Any, request: pytest.FixtureRequest) -> PeerClient:
    return portal(ours.address, request.param)


@pytest.fixture
def client(ours: Any) -> Iterator[PortalClient]:
    with PortalClient(ours.address) as client:
        yield client


def break_and_ask(conninfo: str, address: str, times: int) -> None:
    """Unforeseen errors."""
    with http(address) as api:
        (record_id,) = add(api)
        sql(conninfo, "ALTER TABLE comment RENAME TO gone")
        for _ in range(times):
            assert api.refused("GET", f"/api/v1/records/{record_id}", include="comments").status == 500
        sql(conninfo, "ALTER TABLE gone RENAME TO comment")
    until(lambda: sql(conninfo, "SELECT count(*) FROM server_error") == [(times,)])


def test_the_peers_client_reads_the_log_of_accesses(ours: Any, peer_client: PeerClient) -> None:
    for _ in range(5):
        peer_client.ping()
    until(lambda: len(sql(ours.conninfo, "SELECT 1 FROM access_log")) >= 6)
    found = list(peer_client.query_access_log(method="get"))
    assert len(found) >= 6
    assert all(isinstance(entry, AccessLogEntry) for entry in found)
    assert [entry.id for entry in found] == sorted((entry.id for entry in found), reverse=True)
    assert {(entry.module, entry.method) for entry in found} == {("api", "GET")}
    assert found[0].user_agent.startswith("python-requests/")
    assert len(list(peer_client.query_access_log(limit=3))) == 3
    assert list(peer_client.query_access_log(before=datetime(2020, 1, 1, tzinfo=UTC))) == []
    assert list(peer_client.query_access_log(user="nobody")) == []


@pytest.mark.parametrize("group_by", ["user", "day", "hour", "country", "subdivision"])
def test_the_peers_client_sums_accesses_up(ours: Any, peer_client: PeerClient, group_by: str) -> None:
    peer_client.ping()
    until(lambda: len(sql(ours.conninfo, "SELECT 1 FROM access_log")) >= 2)
    entries = peer_client.query_access_summary(group_by=group_by).entries
    assert bool(entries) is (group_by != "user")
    for entry, *_ in entries.values():
        assert entry.count >= 2
        assert entry.request_duration_info == sorted(entry.request_duration_info)


def test_the_peers_client_removes_accesses(ours: Any, peer_client: PeerClient) -> None:
    until(lambda: sql(ours.conninfo, "SELECT 1 FROM access_log"))
    assert peer_client.delete_access_log(datetime.now(UTC) - timedelta(days=1)) == 0
    assert peer_client.delete_access_log(datetime.now(UTC) + timedelta(days=1)) >= 1


def test_the_peers_client_reads_and_removes_errors(ours: Any, peer_client: PeerClient) -> None:
    break_and_ask(ours.conninfo, ours.address, 3)
    found = list(peer_client.query_error_log())
    assert len(found) == 3
    assert all(isinstance(entry, ErrorLogEntry) for entry in found)
    assert 'relation "comment" does not exist' in found[0].error_text
    assert [entry.id for entry in peer_client.query_error_log(error_id=found[1].id)] == [found[1].id]
    assert list(peer_client.query_error_log(after=datetime(2999, 1, 1, tzinfo=UTC))) == []
    assert peer_client.delete_error_log(datetime.now(UTC) + timedelta(days=1)) == 3
    with pytest.raises(PortalRequestError):
        peer_client.delete_error_log(None)


def test_the_peers_client_reads_statistics(ours: Any, peer_client: PeerClient) -> None:
    with http(ours.address) as api:
        complete(api)
    do(ours.conninfo, lambda db: db.run(statistics.fill))
    found = peer_client.get_server_stats()
    assert all(isinstance(entry, ServerStatsEntry) for entry in found)
    assert [entry.record_count for entry in found] == [0, 0, 1]
    assert found[-1].cpu_hours > 0


def test_the_peers_client_changes_the_message_of_the_day(peer_client: PeerClient) -> None:
    assert peer_client.get_motd() == ""
    peer_client.set_motd("Down on Friday")
    assert peer_client.get_motd() == peer_client.get_server_information()["motd"] == "Down on Friday"
    peer_client.set_motd("")
    assert peer_client.get_motd() == ""


# --- our client ---------------------------------------------------------------------------------------------------


def test_our_client_does_the_same(ours: Any, client: PortalClient) -> None:
    client.set_motd("hello")
    assert client.get_motd() == "hello"
    break_and_ask(ours.conninfo, ours.address, 5)
    until(lambda: len(sql(ours.conninfo, "SELECT 1 FROM access_log")) >= 9)
    found = list(client.query_access_log(module="api", method=["get", "put"]))
    assert [entry.id for entry in found] == sorted((entry.id for entry in found), reverse=True)
    assert {entry.status for entry in found} == {200, 500}
    assert len(list(client.query_access_log(limit=3))) == 3
    (day,) = client.query_access_summary(after="2020-01-01").values()
    assert {(entry.module, entry.method) for entry in day} >= {("api", "GET"), ("api", "PUT")}
    assert client.query_access_summary("hour", before="2020-01-01") == {}
    failed = list(client.query_error_log(after="2020-01-01"))
    assert len(failed) == 5
    assert [entry.id for entry in client.query_error_log(error_id=failed[0].id)] == [failed[0].id]
    assert client.delete_error_log("2020-01-01") == 0
    assert client.delete_error_log(datetime.now(UTC) + timedelta(days=1)) == 5
    assert client.delete_access_log(datetime.now(UTC) + timedelta(days=1)) >= 9
    do(ours.conninfo, lambda db: db.run(statistics.fill))
    assert len(client.get_server_stats()) == 3


def test_our_client_names_what_is_wrong(client: PortalClient) -> None:
    with pytest.raises(TypeError, match="there is no filter colour"):
        client.query_access_log(colour="red")
    with pytest.raises(ValueError, match="weekday"):
        client.query_access_summary("weekday")


def test_our_client_reads_the_peers_logs(peer_server: Any) -> None:
    with PortalClient(peer_server.url) as client:
        assert list(client.query_access_log()) == []
        assert list(client.query_error_log()) == []
        assert client.query_access_summary() == {}
        assert client.get_server_stats() == []
        assert client.delete_access_log("2020-01-01") == client.delete_error_log("2020-01-01") == 0
        client.set_motd("hello")
        assert client.get_motd() == "hello"
        client.set_motd("")
