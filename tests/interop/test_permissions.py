"""What each role may do: our endpoints, and the peer's of the same name, asked the same as everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from qchive.api import Endpoint, endpoints
from tests.accounts import PASSWORD, PEOPLE, SECURE, bearing, secure, tokens
from tests.interop.conftest import Server, peer

ASKED = [row for row in endpoints() if row.may is not None]
NOBODY = "anonymous"


@pytest.fixture(scope="module")
def reading_peer(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The peer's server, which anonymous people may read, with an account of each role."""
    with peer(postgres.dsn, tmp_path_factory.mktemp("peer"), "peer_roles", security=True, reading=True) as server:
        header = bearing(tokens(server.url, *server.users["admin"])["access_token"])
        for name, role in PEOPLE.items():
            if (name,) != server.users.get(role, ())[:1]:
                user = {"username": name, "role": role, "enabled": True}
                made = httpx.post(f"{server.url}/api/v1/users", json=[user, PASSWORD], headers=header)
                assert made.status_code == 200, made.text
        yield server


@pytest.fixture(scope="module")
def reading_server(databases: Any) -> Iterator[Server]:
    """Ours, likewise."""
    with secure(databases, msgspec.structs.replace(SECURE, allow_unauthenticated_read=True)) as server:
        yield Server("ours", server.address, {})


def asked(client: httpx.Client, header: dict[str, str], row: Endpoint) -> int:
    """The status of a request that says nothing but who asks for what."""
    path = re.sub(r"\{\w+\}", "nobody_x", re.sub(r"\{\w+:int\}", "1234", row.path))
    answer = client.request(row.method, path, headers={"Content-Type": "application/json", **header})
    told = answer.json()
    if answer.status_code == 403:
        assert "is not authorized" in told["msg"], told
    missing = answer.status_code in (404, 405) and re.match("40[45] (Not Found|Method)", told["msg"])
    return 0 if missing else answer.status_code


def outcomes(server: Server) -> dict[tuple[str, str, str], str]:
    """Role and request: let through, refused or told to log in; nothing where there is no such request."""
    headers = {NOBODY: bearing(None)}
    for name, role in PEOPLE.items():
        user = server.users.get(role, (name, PASSWORD))
        headers[role] = bearing(tokens(server.url, *user)["access_token"])
    every = [(role, row) for role in headers for row in ASKED]
    with httpx.Client(base_url=server.url, timeout=60) as client:
        found = [asked(client, headers[role], row) for role, row in every]
    words = {401: "log in", 403: "refused"}
    return {
        (role, row.method, row.path): words.get(status, "let through")
        for (role, row), status in zip(every, found, strict=True)
        if status
    }


def test_every_role_may_do_what_it_may_at_the_peer(reading_peer: Server, reading_server: Server) -> None:
    theirs, ours = outcomes(reading_peer), outcomes(reading_server)
    assert len(theirs) > 300
    assert {one: (ours[one], theirs[one]) for one in theirs if ours[one] != theirs[one]} == {}


def test_nobody_may_do_what_nobody_may_at_the_peer(secure_peer_server: Server, databases: Any) -> None:
    with (
        secure(databases) as closed,
        httpx.Client(base_url=secure_peer_server.url, timeout=60) as theirs,
        httpx.Client(base_url=closed.address, timeout=60) as ours,
    ):
        for row in ASKED:
            assert asked(theirs, {}, row) in (0, 401), row.path
            assert asked(ours, {}, row) == 401, row.path
