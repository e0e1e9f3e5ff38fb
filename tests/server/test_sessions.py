"""Browsers: a cookie that pages of others cannot make use of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from tests.accounts import PASSWORD, SECURE, as_user, secure, tokens
from tests.archive import Archive
from tests.factories import sql

COOKIE = "qcf_session"


@pytest.fixture
def server(databases: Any) -> Iterator[Archive]:
    with secure(databases, msgspec.structs.replace(SECURE, user_session_cookie_secure=False)) as server:
        yield server


def browser(server: Archive) -> httpx.Client:
    return httpx.Client(base_url=server.address, headers={"X-Requested-With": "fetch", "User-Agent": "Test/1"})


def enter(client: httpx.Client, name: str = "submit_user", password: str = PASSWORD) -> httpx.Response:
    return client.post("/auth/v1/session_login", json={"username": name, "password": password})


@pytest.fixture
def here(server: Archive) -> Iterator[httpx.Client]:
    """A browser that is logged in."""
    with browser(server) as client:
        assert enter(client).status_code == 200
        yield client


def test_a_browser_logs_in_and_out(server: Archive) -> None:
    with browser(server) as client:
        assert client.get("/api/v1/me").status_code == 401
        answer = enter(client)
        said = answer.json()
        assert {k: said[k] for k in ("username", "role", "groups")} == {
            "username": "submit_user",
            "role": "submit",
            "groups": [],
        }
        assert client.get("/api/v1/me").json()["id"] == said["user_id"]
        key = client.cookies[COOKIE]
        assert client.post("/auth/v1/session_logout").status_code == 200
        assert COOKIE not in client.cookies
        assert client.get("/api/v1/me").status_code == 401
        assert client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={key}"}).status_code == 401, (
            "its secret is worth nothing"
        )


def test_the_cookie_is_kept_from_scripts_and_other_sites(databases: Any) -> None:
    with secure(databases) as server, browser(server) as client:
        cookie = enter(client).headers["set-cookie"]
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=lax", "path=/", "max-age=86400"} <= parts


@pytest.mark.parametrize(
    ("headers", "fits"),
    [
        ({}, False),
        ({"X-Requested-With": ""}, False),
        ({"X-Requested-With": "anything"}, True),
        ({"X-Requested-With": "x", "Origin": "http://evil.example"}, False),
        ({"X-Requested-With": "x", "Origin": "null"}, False),
        ({"X-Requested-With": "x", "Origin": "SAME"}, True),
    ],
)
def test_what_another_site_could_have_sent_changes_nothing(
    server: Archive, here: httpx.Client, headers: dict[str, str], fits: bool
) -> None:
    own = {k: v.replace("SAME", server.address) for k, v in headers.items()}
    for method, path in (("PUT", "/api/v1/me/preferences"), ("POST", "/auth/v1/session_logout")):
        request = here.build_request(method, path, json={})
        request.headers.pop("X-Requested-With")
        request.headers.update(own)
        answer = here.send(request)
        assert (answer.status_code == 200) is fits
        assert fits or answer.json()["msg"].startswith("Forbidden: Cross-site request check failed")
    if not fits:
        with httpx.Client(base_url=server.address, headers=own) as other:
            assert enter(other).status_code == 403, "nor does it log somebody in"
        assert here.get("/api/v1/me").status_code == 200, "looking is harmless"


def test_a_header_wins_over_the_cookie_even_if_it_is_bad(server: Archive, here: httpx.Client) -> None:
    def who(header: str) -> httpx.Response:
        return here.get("/api/v1/me", headers={"Authorization": header})

    assert who(f"Bearer {tokens(server.address, 'read_user')['access_token']}").json()["username"] == "read_user"
    for bad in ("Bearer qcf_unknown", "Bearer rubbish", "Basic eDp5", ""):
        assert who(bad).status_code == 401
        assert here.get("/api/v1/information", headers={"Authorization": bad}).status_code == 401


def test_logging_in_again_makes_the_former_secret_void(server: Archive, here: httpx.Client) -> None:
    planted = here.cookies[COOKIE]
    assert enter(here, "admin_user", "wrong").status_code == 401
    assert here.get("/api/v1/me").json()["username"] == "submit_user", "a failed login disturbs nothing"
    assert enter(here, "admin_user").status_code == 200
    assert here.get("/api/v1/me").json()["username"] == "admin_user"
    with browser(server) as attacker:
        assert attacker.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={planted}"}).status_code == 401


def test_disabling_and_a_new_password_end_sessions(server: Archive, here: httpx.Client) -> None:
    with as_user(server.address, "admin_user") as admin, browser(server) as other:
        enter(other)
        assert here.put("/api/v1/me/password", json="a new long password").status_code == 200
        assert here.get("/api/v1/me").status_code == 200, "whoever changed it goes on"
        assert other.get("/api/v1/me").status_code == 401
        assert len(here.get("/api/v1/me/sessions").json()) == 1
        me = admin.get("users/submit_user")
        admin.patch("users", me | {"enabled": False})
        assert here.get("/api/v1/me").json()["msg"] == "User submit_user is disabled."
        admin.patch("users", me)
        assert here.get("/api/v1/me").status_code == 401


def test_a_session_that_is_used_lasts_and_one_that_is_not_ends(databases: Any) -> None:
    settings = msgspec.structs.replace(SECURE, user_session_cookie_secure=False, user_session_max_age=100)
    with secure(databases, settings) as server, browser(server) as client:
        enter(client)

        def age(seconds: int) -> None:
            sql(server.conninfo, f"UPDATE browser_session SET last_accessed = now() - interval '{seconds} seconds'")

        age(95)
        answer = client.get("/api/v1/me")
        assert answer.status_code == 200
        assert "Max-Age=100" in answer.headers["set-cookie"]
        ((fresh,),) = sql(server.conninfo, "SELECT last_accessed > now() - interval '50 seconds' FROM browser_session")
        assert fresh
        age(101)
        assert client.get("/api/v1/me").status_code == 401
        with as_user(server.address, "admin_user") as admin:
            assert admin.get("sessions") == []
        enter(client, "read_user")
        assert sql(server.conninfo, "SELECT count(*) FROM browser_session") == [(1,)], "what is over is removed"


def test_sessions_are_listed_without_their_secrets(server: Archive, here: httpx.Client) -> None:
    (mine,) = here.get("/api/v1/me/sessions").json()
    assert set(mine) == {"public_id", "user_id", "last_accessed", "ip_address", "user_agent"}
    assert (mine["ip_address"], mine["user_agent"]) == ("127.0.0.1", "Test/1")
    assert here.cookies[COOKIE] not in str(mine)
    with as_user(server.address, "maintain_user") as maintain:
        for path in ("sessions", "users/submit_user/sessions", f"users/{mine['user_id']}/sessions"):
            assert [one["public_id"] for one in maintain.get(path)] == [mine["public_id"]]
        assert maintain.get("me/sessions") == []
    ((stored,),) = sql(server.conninfo, "SELECT hash FROM browser_session")
    assert len(stored) == 32
