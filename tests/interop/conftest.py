"""The peer's server, unmodified as published, beside ours: started on the session's PostgreSQL, on loopback."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from qchive import PortalClient, wire
from tests.interop.manager import Manager

START_TIMEOUT = 120.0
ADMIN = ("admin_user", "something123")
COMPUTE = ("compute_user", "something123")


@dataclass(frozen=True)
class Server:
    """A server under test. `users` are (name, password) by role, where one logs in at all."""

    name: str
    url: str
    users: dict[str, tuple[str, str]]


@pytest.fixture(scope="session")
def peer_server(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The peer's server without logins."""
    with peer(postgres.dsn, tmp_path_factory.mktemp("peer"), "peer_open", security=False) as server:
        yield server


@pytest.fixture(scope="session")
def secure_peer_server(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The peer's server, where everybody has to log in; access tokens live for two seconds."""
    with peer(postgres.dsn, tmp_path_factory.mktemp("peer"), "peer_secure", security=True) as server:
        yield server


@pytest.fixture(scope="session")
def ours_server(databases: Any) -> Iterator[Server]:
    """Our own server."""
    from tests.archive import prepared, running

    with prepared(databases) as conninfo, running(conninfo) as server:
        yield Server("ours", server.address, {})


@pytest.fixture(scope="module", params=["peer", "ours"])
def server(request: pytest.FixtureRequest) -> Server:
    """Either of them, without logins."""
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(params=[wire.JSON, wire.MSGPACK])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[PortalClient]:
    """Our client, in either encoding."""
    with PortalClient(server.url, encoding=request.param) as client:
        yield client


@pytest.fixture
def tag() -> str:
    """The name of a queue that no other test has."""
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
def manager(client: PortalClient, tag: str) -> Manager:
    """A manager that serves this queue alone."""
    return Manager(client.connection, (tag,))


@contextmanager
def peer(dsn: str, folder: Path, name: str, *, security: bool, reading: bool = False) -> Iterator[Server]:
    """The peer's server on a database of its own. `reading`: also for those who have not logged in; then access tokens
    live for longer than two seconds."""
    config = folder / "config.yaml"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config.write_text(json.dumps(_settings(dsn, name, port, security, reading)))  # JSON is YAML
    _command(config, "init-db")
    if security:
        for role, (user, password) in (("admin", ADMIN), ("compute", COMPUTE)):
            _command(config, "user", "add", user, "--role", role, "--password", password)
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(_argv(config, "start-api"), stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, process, folder / "log.txt")
            yield Server("peer", url, {"admin": ADMIN, "compute": COMPUTE} if security else {})
        finally:
            process.terminate()
            process.wait(60)


def _settings(dsn: str, name: str, port: int, security: bool, reading: bool) -> dict[str, Any]:
    parts = urlsplit(dsn)
    place = parse_qs(parts.query)
    return {
        "name": name,
        "enable_security": security,
        "allow_unauthenticated_read": reading,
        "database": {
            "host": place["host"][0],
            "port": int(place["port"][0]),
            "database_name": name,
            "username": parts.username,
            "password": "unused",
            "own": False,
        },
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "secret_key": secrets.token_urlsafe(32),
            "jwt_secret_key": secrets.token_urlsafe(32),
            "jwt_access_token_expires": 900 if reading else 2,
        },
    }


def _argv(config: Path, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("qcfractal-server")), "--config", str(config), *arguments]


def _command(config: Path, *arguments: str) -> None:
    done = subprocess.run(_argv(config, *arguments), capture_output=True, text=True, timeout=START_TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url + "/api/v1/ping", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only to refuse
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the peer's server did not answer within {START_TIMEOUT} s:\n{log.read_text()}")
