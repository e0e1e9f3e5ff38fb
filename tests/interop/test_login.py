"""Logging in to a server with accounts: names and passwords, tokens that run out, API tokens."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from qchive import PortalClient, errors
from tests.accounts import PASSWORD, SECURE, secure
from tests.interop.conftest import Server

ACCESS_TOKEN_LIFETIME = 2.0


@pytest.fixture(scope="module")
def secure_server(databases: Any) -> Iterator[Server]:
    """Ours, with the peer's name and password for the administrator; its access tokens are as short-lived."""
    with secure(databases, replace(SECURE, jwt_access_token_expires=int(ACCESS_TOKEN_LIFETIME))) as server:
        yield Server("ours", server.address, {"admin": ("admin_user", PASSWORD)})


@pytest.fixture(scope="module", params=["secure_peer_server", "secure_server"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def test_a_password_opens_the_server(server: Server) -> None:
    name, password = server.users["admin"]
    with PortalClient(server.url, name, password) as client:
        assert client.username == name
        assert client.user_id == 1
        _, ids = client.add_molecules({"symbols": ["He"], "geometry": [0, 0, 0]})
        _, (record_id,) = client.add_singlepoints(ids, "psi4", "energy", "hf", "sto-3g")
        assert client.get_records(record_id).owner_user == name


@pytest.mark.parametrize(("name", "password"), [("admin_user", "wrong-password"), ("nobody", "something123")])
def test_a_wrong_password_does_not(server: Server, name: str, password: str) -> None:
    with pytest.raises(errors.AuthenticationRequired, match="Incorrect username or password"):
        PortalClient(server.url, name, password)


def test_nobody_in_particular_is_told_to_log_in(server: Server) -> None:
    with pytest.raises((errors.RequestFailed, errors.AuthenticationRequired), match="requires login"):
        PortalClient(server.url)


def test_tokens_are_renewed_when_they_run_out(server: Server) -> None:
    with PortalClient(server.url, *server.users["admin"]) as client:
        deadline = time.monotonic() + 2 * ACCESS_TOKEN_LIFETIME + 0.5
        while time.monotonic() < deadline:  # longer than any one token lives
            assert list(client.query_molecules(molecule_hash="0" * 40)) == []
            time.sleep(0.2)


def test_an_api_token_opens_the_server(server: Server) -> None:
    name, password = server.users["admin"]
    bearer = httpx.post(f"{server.url}/auth/v1/login", json={"username": name, "password": password}).json()
    made = httpx.post(
        f"{server.url}/api/v1/me/tokens",
        json={"name": uuid.uuid4().hex, "scope": "unlimited", "expires_at": None},
        headers={"Authorization": f"Bearer {bearer['access_token']}"},
    ).json()
    with PortalClient(server.url, api_token=made["token"]) as client:
        assert (client.username, client.user_id) == (name, 1)
        assert client.ping()


def test_an_unknown_api_token_is_refused(server: Server) -> None:
    with pytest.raises(errors.AuthenticationRequired, match="API token"):
        PortalClient(server.url, api_token="qcf_unknown")
