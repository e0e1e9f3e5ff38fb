"""The reverse proxies of the page for administrators, from Debian's packages and as the page has them written."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from qchive import PortalClient, RecordStatusEnum
from tests.accounts import PASSWORD, SECURE, as_user, secure
from tests.archive import prepared
from tests.docs.pages import DEFAULT_ADDRESS, DOCS, blocks
from tests.factories import until
from tests.interop.peers import compute_manager, server_process, wait_until

pytestmark = pytest.mark.system

PAGE = DOCS / "howto" / "run-a-server-for-others.md"
CLIENT = "127.0.0.2"
"""Where requests come from: another address than the proxy's own."""
BOND = {"connectivity": [(0, 1, 1.0)]}
Proxied = Callable[[str], contextlib.AbstractContextManager[str]]


def written(language: str, **changes: str) -> str:
    """The configuration on the page, with a few places of our own."""
    (block,) = blocks(PAGE, language)
    text = block.code
    for place, ours in changes.items():
        assert place in text
        text = text.replace(place, ours)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("proxy")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "archive.key", "-out", "archive.pem"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def free() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@contextmanager
def started(argv: list[str], port: int, folder: Path) -> Iterator[str]:
    """A proxy while the context lasts; where it answers."""
    log = folder / "log"
    environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("a") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, cwd=folder, env=environment)
    try:
        until(lambda: _listens(process, port, log))
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _listens(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(address: str, port: int, folder: Path) -> Iterator[str]:
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/": f"{folder}/",
        DEFAULT_ADDRESS: address,
    }
    ours = [f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    text = f"""
        daemon off;
        {"user root;" if os.geteuid() == 0 else ""}
        pid {folder}/nginx.pid;
        error_log stderr;
        events {{}}
        http {{ access_log off; {" ".join(ours)} {written("nginx", **changes)} }}
    """
    file = folder / "nginx.conf"
    file.write_text(text)
    with started(["nginx", "-c", str(file), "-e", "stderr"], port, folder) as found:
        yield found


@contextmanager
def caddy(address: str, port: int, folder: Path) -> Iterator[str]:
    changes = {
        "archive.example.org {": f"https://127.0.0.1:{port} {{\ntls {folder}/archive.pem {folder}/archive.key",
        "127.0.0.1:7777": address.removeprefix("http://"),
    }
    file = folder / "Caddyfile"
    file.write_text("{\nadmin off\nauto_https disable_redirects\n}\n" + written("caddy", **changes))
    argv = ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
    with started(argv, port, folder) as found:
        yield found


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, free: int, folder: Path) -> Proxied:
    """Puts one in front of a server's address."""
    return lambda address: request.param(address, free, folder)


@pytest.fixture
def server(databases: Any) -> Iterator[Any]:
    """A server as the page configures it, which notes who asks."""
    with secure(databases, replace(SECURE, trusted_proxies=["127.0.0.1"], log_access=True)) as server:
        yield server


def outside(address: str, folder: Path) -> httpx.Client:
    """A browser on another machine."""
    trusted = ssl.create_default_context(cafile=str(folder / "archive.pem"))
    transport = httpx.HTTPTransport(verify=trusted, local_address=CLIENT)
    headers = {"X-Requested-With": "fetch", "Origin": address}
    return httpx.Client(base_url=address, transport=transport, headers=headers)


def test_people_work_through_it_and_are_known_by_their_own_address(proxy: Proxied, server: Any, folder: Path) -> None:
    with proxy(server.address) as address, outside(address, folder) as browser:
        login = {"username": "submit_user", "password": PASSWORD}
        assert browser.post("/auth/v1/session_login", json=login).status_code == 200
        large = [{"symbols": ["He"], "geometry": [0, 0, 0], "comment": "x" * (5 << 20)}]
        made_up = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.8", "X-Request-ID": "mine"}
        answer = browser.post("/api/v1/molecules/bulkCreate", json=large, headers=made_up)
        assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine")
        refused = browser.get("/api/v1/users")
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), "errors come through as they are"
        with PortalClient(address, "submit_user", PASSWORD, verify=str(folder / "archive.pem")) as client:
            assert len(list(client.query_molecules())) == 1
    with as_user(server.address, "monitor_user") as api:
        noted = api.post("access_logs/query", {"user": ["submit_user"]})
    from_outside = [one for one in noted if one["user_agent"].startswith("python-httpx")]
    assert len(from_outside) == 3
    assert {one["ip_address"] for one in from_outside} == {CLIENT}
    assert {one["ip_address"] for one in noted if one not in from_outside} == {"127.0.0.1"}


def test_where_no_server_answers_a_manager_is_dropped_and_others_are_told(proxy: Proxied, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        nobody = f"http://127.0.0.1:{one.getsockname()[1]}"
    with proxy(nobody) as address, outside(address, folder) as browser:
        assert browser.get("/api/v1/ping").status_code == 502
        with pytest.raises(httpx.TransportError):
            browser.post("/compute/v1/tasks/claim", json={})


def test_an_unmodified_manager_works_through_it_and_loses_nothing_while_the_server_is_away(
    proxy: Proxied, databases: Any, open_folder: Path
) -> None:
    with (
        prepared(databases) as conninfo,
        server_process(conninfo) as server,
        proxy(server.address) as address,
        compute_manager(address, open_folder, tags=["proxied"]) as manager,
        PortalClient(server.address) as client,
    ):
        molecules = [{"symbols": ["H", "H"], "geometry": [0, 0, 0, 0, 0, 1.4 + n], **BOND} for n in range(4)]
        _, ids = client.add_singlepoints(molecules, "rdkit", "gradient", "uff", None, compute_tag="proxied")
        wait_until(lambda: any(client.query_records(status="running")), manager.told)
        server.kill()
        wait_until(lambda: "deferr" in manager.told().lower(), manager.told)
        server.start()

        def finished() -> bool:
            assert manager.running, manager.told()
            return all(one.status is RecordStatusEnum.complete for one in client.get_records(ids))

        wait_until(finished, manager.told)
        assert all(len(one.compute_history) == 1 for one in client.get_records(ids))
