"""Whom a server cuts off or sends away, whom it believes, and that it speaks https."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from qchive import PortalClient, errors
from qchive.server.settings import Settings
from tests.accounts import SECURE
from tests.archive import Archive, prepared, running
from tests.end_to_end.served import served
from tests.factories import sql

_POST = (
    b"POST /api/v1/molecules/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
)


@pytest.fixture
def strict(databases: Any) -> Iterator[Archive]:
    """A server that has no patience and little room."""
    settings = Settings(request_timeout=1, max_connections=2)
    with prepared(databases) as conninfo, running(conninfo, settings) as server:
        yield server


def _connect(archive: Archive) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(archive.address.rpartition(":")[2])), timeout=30)


def _trickle(client: socket.socket, first: bytes) -> int:
    """Send this and then a byte now and then, until the other side hangs up; how many bytes that were."""
    client.sendall(first)
    client.settimeout(0.1)
    for n in range(300):
        try:
            client.sendall(b"x")
            if client.recv(1000) == b"":
                return n
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return n
    raise AssertionError("nobody hangs up")


@pytest.mark.parametrize(
    "first", [b"", b"GET /api/v1/ping HTTP/1.1\r\nHost: x\r\nX-", _POST], ids=["none", "head", "body"]
)
def test_a_client_that_trickles_is_cut_off(strict: Archive, first: bytes) -> None:
    with _connect(strict) as client:
        assert _trickle(client, first) < 100
    assert httpx.get(f"{strict.address}/api/v1/ping").status_code == 200


def test_a_client_that_says_nothing_is_cut_off(strict: Archive) -> None:
    with _connect(strict) as client, contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_a_client_that_is_only_idle_is_not(strict: Archive) -> None:
    with _connect(strict) as client, _connect(strict) as silent:
        for _ in range(2):
            client.sendall(b"GET /api/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(10000).startswith(b"HTTP/1.1 200")
            with contextlib.suppress(ConnectionResetError):
                silent.recv(1)  # for as long as the patience with others lasts


def test_a_large_body_may_take_longer_than_one_part_of_it(strict: Archive) -> None:
    size = 1 << 20
    head = _POST.replace(b"500", str(size).encode())
    with _connect(strict) as client:
        client.sendall(head)
        client.settimeout(0.1)
        for _ in range(15):
            client.sendall(b" " * (size // 16))
            with contextlib.suppress(TimeoutError):
                raise AssertionError(client.recv(1000))
        client.settimeout(30)
        client.sendall(b" " * (size // 16))
        assert client.recv(1000).startswith(b"HTTP/1.1 400")


def test_more_connections_than_there_is_room_for_are_sent_away(strict: Archive) -> None:
    ask = b"GET /api/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with _connect(strict) as first, _connect(strict) as second:
        for client in (first, second):
            client.sendall(ask)
            assert client.recv(10000).startswith(b"HTTP/1.1 200")
        answer = httpx.get(f"{strict.address}/api/v1/ping")
        assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (503, "2", "overloaded")
        with pytest.raises(httpx.TransportError):  # an error would end an unmodified compute manager
            httpx.post(f"{strict.address}/compute/v1/tasks/claim", json={})
        first.sendall(ask)
        assert first.recv(10000).startswith(b"HTTP/1.1 200"), "who is in stays in"


def _addresses_counted(databases: Any, proxies: list[str], headers: dict[str, str], **more: Any) -> set[str]:
    """Under which addresses a wrong password is counted."""
    import msgspec

    settings = msgspec.structs.replace(SECURE, trusted_proxies=proxies, **more)
    with prepared(databases) as conninfo, running(conninfo, settings) as server:
        given = {"username": "ada", "password": "a wrong password"}
        answer = httpx.post(f"{server.address}/auth/v1/login", json=given, headers=headers)
        assert answer.status_code == 401, answer.text
        return {str(row[0]) for row in sql(conninfo, "SELECT address FROM failed_login")}


@pytest.mark.parametrize("proxies", [[], ["10.0.0.0/8"]])
def test_what_somebody_claims_to_be_is_not_believed(databases: Any, proxies: list[str]) -> None:
    assert _addresses_counted(databases, proxies, {"X-Forwarded-For": "203.0.113.9"}) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("nonsense", "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_is_believed_as_far_as_it_is_ours(databases: Any, said: str, client: str) -> None:
    proxies = ["127.0.0.1", "10.0.0.0/8"]
    assert _addresses_counted(databases, proxies, {"X-Forwarded-For": said}) == {client}


def test_only_the_header_that_the_proxy_writes_is_believed(databases: Any) -> None:
    headers = {"X-Forwarded-For": "198.51.100.1", "Forwarded": 'for=198.51.100.2, for="203.0.113.9:80";proto=https'}
    found = _addresses_counted(databases, ["127.0.0.1"], headers, proxy_header="forwarded")
    assert found == {"203.0.113.9"}


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(errors.BadConfiguration, match=r"Write 10\.0\.0\.5"):
        Settings(trusted_proxies=["proxy.example.org"]).check()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_https_without_a_proxy(database: str, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    options = ("--no-security", "--set", f"tls_certificate={cert}", "--set", f"tls_key={key}")
    with served(database, tmp_path / "log", *options, verify=False) as server:
        assert server.address.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=str(cert))
        assert httpx.get(f"{server.address}/api/v1/ping", verify=trusted).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{server.address}/api/v1/ping")
        with PortalClient(server.address, verify=False) as client:
            assert client.ping()


def test_a_certificate_without_a_key_is_refused(certificate: tuple[Path, Path]) -> None:
    with pytest.raises(errors.BadConfiguration, match="give both"):
        Settings(tls_certificate=str(certificate[0])).check()
    with pytest.raises(errors.BadConfiguration, match="cannot be read"):
        Settings(tls_certificate=str(certificate[0]), tls_key="/nowhere").check()
