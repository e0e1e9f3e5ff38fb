"""The log of accesses: every request with all that is known of it, off the requests' path, and found again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from tests.accounts import PASSWORD, SECURE, api_token, as_token, as_user, secure
from tests.archive import prepared, running
from tests.factories import Http, add, http, sql, until
from tests.runners import do, running_jobs

from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.functions import FUNCTIONS, PERIODIC, add_periodic

NOTING = Settings(log_access=True)
WHOLE = {"include": ["**"]}


@pytest.fixture
def noting(databases: Any) -> Iterator[tuple[Any, Http]]:
    """A server that notes requests."""
    with prepared(databases) as conninfo, running(conninfo, NOTING) as server, http(server.address) as api:
        yield server, api


def noted(conninfo: str) -> int:
    ((n,),) = sql(conninfo, "SELECT count(*) FROM access_log")
    return int(n)


def test_a_request_is_noted_with_all_that_is_known_of_it(noting: tuple[Any, Http]) -> None:
    server, api = noting
    headers = {"User-Agent": "tests/1", "X-Request-ID": "mine-1"}
    body = b'{"record_id": [1]}'
    answer = api.raw.post(
        "/api/v1/records/query?x=secret", content=body, headers={**headers, "Content-Type": "application/json"}
    )
    until(lambda: noted(server.conninfo) == 1)
    (entry,) = api.post("access_logs/query", WHOLE)
    assert entry.pop("timestamp").endswith("Z")
    assert 0 < entry.pop("request_duration") < 10
    nothing = ("user", "api_token_id", "country_code", "subdivision", "city", "ip_lat", "ip_long")
    assert entry == {
        "id": 1,
        "method": "POST",
        "module": "api",
        "full_uri": "/api/v1/records/query",
        "request_bytes": len(body),
        "response_bytes": len(answer.content),
        "ip_address": "127.0.0.1",
        "user_agent": "tests/1",
        "status": 200,
        "request_id": "mine-1",
        **dict.fromkeys(nothing),
    }
    assert answer.headers["x-request-id"] == "mine-1"


def test_a_question_about_no_address_at_all_is_noted_too(noting: tuple[Any, Http]) -> None:
    server, api = noting
    place = urlsplit(server.address)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(b"OPTIONS * HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"404"
    until(lambda: noted(server.conninfo) == 1)
    (entry,) = api.post("access_logs/query", {})
    assert (entry["module"], entry["method"], entry["full_uri"]) == ("home", "OPTIONS", "*")


def test_accesses_name_the_account_and_the_api_token(databases: Any) -> None:
    settings = msgspec.structs.replace(SECURE, log_access=True)
    with secure(databases, settings) as server, as_user(server.address, "monitor_user") as api:
        token, info = api_token(api)
        with as_token(server.address, token) as by_token:
            by_token.get("information")
        with as_token(server.address, token[:-1] + "?") as wrong:
            assert wrong.refused("GET", "/api/v1/information").status == 401
        me = api.get("me")["id"]
        found = api.post("access_logs/query", {"before": "2999-01-01T00:00:00Z"})
        assert [(e["full_uri"], e["module"], e["user"], e["api_token_id"]) for e in reversed(found[-4:])] == [
            ("/auth/v1/login", "auth", "monitor_user", None),
            ("/api/v1/me/tokens", "api", "monitor_user", None),
            ("/api/v1/information", "api", "monitor_user", info["id"]),
            ("/api/v1/information", "api", None, None),
        ]
        for name in (me, str(me), "monitor_user"):
            assert [e["id"] for e in api.post("access_logs/query", {"user": [name], "cursor": 5})] == [3, 2, 1]
        text = str(sql(server.conninfo, "SELECT * FROM access_log"))
        assert token not in text
        assert PASSWORD not in text


def test_a_browser_is_noted_under_its_name_until_it_has_logged_out(databases: Any) -> None:
    settings = msgspec.structs.replace(SECURE, log_access=True, user_session_cookie_secure=False)
    headers = {"X-Requested-With": "fetch"}
    with secure(databases, settings) as server, httpx.Client(base_url=server.address, headers=headers) as browser:
        login = {"username": "submit_user", "password": PASSWORD}
        assert browser.post("/auth/v1/session_login", json=login).status_code == 200
        for _ in range(2):
            assert browser.post("/auth/v1/session_logout").status_code == 200
        with as_user(server.address, "monitor_user") as api:
            found = api.post("access_logs/query", {})
        assert [(e["full_uri"], e["user"]) for e in reversed(found)] == [
            ("/auth/v1/session_login", "submit_user"),
            ("/auth/v1/session_logout", "submit_user"),
            ("/auth/v1/session_logout", None),
            ("/auth/v1/login", "monitor_user"),
        ]


def test_failures_and_nonsense_are_noted_too_but_no_probes(noting: tuple[Any, Http]) -> None:
    server, api = noting
    probes = ("/health", "/ready", "/metrics")
    asked = (
        "/api/v1/nothing",
        "//api/v1/ping",
        "/api/v1/records/1/%00%0a",
        "/" + "x" * 3000,
        "/compute/v1/tasks/claim",
    )
    for path in (*probes, *asked, "/"):
        api.raw.get(server.address + path)
    until(lambda: noted(server.conninfo) == 6)
    found = sql(
        server.conninfo, "SELECT status, module, length(full_uri), user_agent <> '' FROM access_log ORDER BY id"
    )
    assert [row[:2] for row in found] == [
        (404, "api"),
        (200, "api"),
        (404, "api"),
        (404, "home"),
        (405, "compute"),
        (302, "home"),
    ]
    assert found[3][2] == 2000


def test_nothing_is_noted_unless_the_settings_say_so(archive: Any, api: Http) -> None:
    for _ in range(3):
        api.get("ping")
    assert api.post("access_logs/query", {}) == []


def test_what_was_answered_is_in_the_log_when_the_server_has_ended(databases: Any) -> None:
    with prepared(databases) as conninfo:
        with running(conninfo, NOTING) as server, http(server.address) as api:
            for _ in range(250):
                api.get("ping")
        assert noted(conninfo) == 250


def test_many_requests_are_noted_with_few_statements(noting: tuple[Any, Http]) -> None:
    server, api = noting
    for _ in range(100):
        api.get("ping")
    until(lambda: noted(server.conninfo) == 100)
    ((transactions,),) = sql(server.conninfo, "SELECT count(DISTINCT xmin::text) FROM access_log")
    assert transactions < 20


def test_whoever_looks_sees_what_has_just_been_done(noting: tuple[Any, Http]) -> None:
    _, api = noting
    for n in range(5):
        api.get("information")
        entries = api.post("access_logs/query", {})
        assert (len(entries), entries[0]["full_uri"]) == (2 * n + 1, "/api/v1/information")
    summary = api.get("access_logs/summary", group_by="country")
    assert sum(entry["count"] for entry in summary["_none_"]) == 10
    assert api.post("access_logs/bulkDelete", {"before": "2999-01-01T00:00:00"}) == 11


def test_notes_outlast_lost_connections(noting: tuple[Any, Http]) -> None:
    server, api = noting
    for n in range(5):
        api.get("ping")
        sql(
            server.conninfo,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        until(lambda n=n: noted(server.conninfo) == n + 1)  # type: ignore[misc]


@pytest.fixture(scope="module")
def filled(databases: Any) -> Iterator[tuple[Any, Http]]:
    """Six requests of the year 2020, at midnight, one, two … o'clock."""
    settings = Settings(api_limits={"get_access_logs": 4})
    with prepared(databases) as conninfo, running(conninfo, settings) as server, http(server.address) as api:
        sql(
            conninfo,
            "INSERT INTO access_log (timestamp, method, module, full_uri, request_duration, request_bytes,"
            " response_bytes, status, username, user_agent, request_id)"
            " SELECT timestamptz '2020-01-01Z' + make_interval(hours => n * 12),"
            " CASE n %% 2 WHEN 0 THEN 'GET' ELSE 'POST' END, CASE WHEN n < 4 THEN 'api' ELSE 'compute' END,"
            " '/', n, n * 10, n * 100, 200, CASE n WHEN 1 THEN 'ann' WHEN 2 THEN '7' END, '', ''"
            " FROM generate_series(0, 5) AS t (n)",
        )
        yield server, api


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, [6, 5, 4, 3]),
        ({"cursor": 3}, [2, 1]),
        ({"limit": 1}, [6]),
        ({"limit": 100}, [6, 5, 4, 3]),
        ({"module": ["COMPUTE"]}, [6, 5]),
        ({"method": ["post"], "module": ["api"]}, [4, 2]),
        ({"user": ["ann", 7]}, [3, 2]),
        ({"user": []}, []),
        ({"before": "2020-01-01T12:00:00"}, [2, 1]),
        ({"after": "2020-01-03T00:00:00Z"}, [6, 5]),
        ({"after": "2020-01-01T12:00:00Z", "before": "2020-01-01T12:00:00Z"}, [2]),
    ],
)
def test_accesses_are_found_by_filters(filled: tuple[Any, Http], filters: dict[str, Any], wanted: list[int]) -> None:
    assert [entry["id"] for entry in filled[1].post("access_logs/query", filters)] == wanted


def test_accesses_can_be_asked_for_in_part(filled: tuple[Any, Http]) -> None:
    def ask(**more: Any) -> dict[str, Any]:
        return filled[1].post("access_logs/query", {"limit": 1, **more})[0]  # type: ignore[no-any-return]

    assert ask(include=["method", "nonsense"]) == {"id": 6, "method": "POST"}
    assert "status" not in ask()
    assert "status" in ask(include=["*", "status"])
    assert "city" not in ask(exclude=["city", "id"])


def test_accesses_are_summed_up(filled: tuple[Any, Http]) -> None:
    _, api = filled
    days = api.get("access_logs/summary")
    assert {day: sum(e["count"] for e in entries) for day, entries in days.items()} == dict.fromkeys(
        ("2020-01-01", "2020-01-02", "2020-01-03"), 2
    )
    everything = api.get("access_logs/summary", group_by="country")
    assert [(e["module"], e["method"], e["count"]) for e in everything["_none_"]] == [
        ("api", "GET", 2),
        ("api", "POST", 2),
        ("compute", "GET", 1),
        ("compute", "POST", 1),
    ]
    posts = everything["_none_"][1]
    assert posts["request_duration_info"] == pytest.approx([1, 1.5, 2, 2.5, 2.9, 3])
    assert posts["response_bytes_info"] == pytest.approx([100, 150, 200, 250, 290, 300])
    assert set(api.get("access_logs/summary", group_by="user")) == {"ann", "7"}
    hours = api.get("access_logs/summary", group_by="hour", after="2020-01-01T01:00:00Z", before="2020-01-02T00:00:00Z")
    assert set(hours) == {"2020-01-01 12", "2020-01-02 00"}
    for wrong in ({"group_by": "colour"}, {"before": "never"}):
        assert api.refused("GET", "/api/v1/access_logs/summary", **wrong).status == 400


def test_accesses_are_removed_before_a_time(noting: tuple[Any, Http]) -> None:
    server, api = noting
    add(api)
    until(lambda: noted(server.conninfo) == 1)
    ((when,),) = sql(server.conninfo, "SELECT timestamp FROM access_log")
    assert api.post("access_logs/bulkDelete", {"before": when.isoformat()}) == 0
    assert api.post("access_logs/bulkDelete", {"before": "2999-01-01T00:00:00"}) >= 1
    for wrong in ({}, {"before": None}, {"before": "never"}):
        refusal = api.refused("POST", "/api/v1/access_logs/bulkDelete", wrong)
        assert (refusal.status, refusal.reply["code"]) == (400, "invalid_body")


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [("delete_old_access_log", "access_log", "timestamp"), ("delete_old_error_log", "server_error", "error_date")],
)
def test_a_maintenance_job_removes_what_is_old(archive: Any, api: Http, name: str, table: str, column: str) -> None:
    columns = (
        "method, module, full_uri, request_duration, request_bytes, response_bytes, status, user_agent, request_id"
    )
    values = "'GET', 'api', '/', 1, 1, 1, 200, '', ''"
    if table == "server_error":
        columns, values = "id, version, error_text", "n, '', ''"
    sql(
        archive.conninfo,
        f"INSERT INTO {table} ({column}, {columns})"
        f" SELECT now() - make_interval(secs => 100 * n), {values} FROM generate_series(0, 3) AS t (n)",
    )
    keeping = Settings(access_log_keep=150, error_log_keep=150)
    assert do(archive.conninfo, lambda db: add_periodic(db, keeping)) == len(PERIODIC) - 1
    with running_jobs(archive.conninfo, FUNCTIONS, settings=keeping):
        until(lambda: api.post("internal_jobs/query", {"name": [name], "status": ["complete"]}))
    assert sql(archive.conninfo, f"SELECT count(*) FROM {table}") == [(2,)]
    assert do(archive.conninfo, lambda db: add_periodic(db, Settings())) == 1, "kept for ever"
