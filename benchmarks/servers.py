"""The servers that are compared: each a tree of processes of its own with a PostgreSQL of its own, set alike."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, Self
from urllib.parse import parse_qs, urlsplit

import msgspec
import psutil
import psycopg
import qcportal
from qcportal import ManagerClient, PortalClient
from qcportal.managers import ManagerName

from benchmarks.accounting import Cost
from qchive.api.about import LIMITS
from qchive.db.embedded import EmbeddedPostgres
from qchive.local import Local
from qchive.server.settings import Settings

START_TIMEOUT = 120.0
TIMEOUT = 900.0
POSTGRES = {"shared_preload_libraries": "pg_stat_statements"}
"""On top of what our embedded server has (durable: fsync and synchronous_commit are on), and on both sides alike."""
LIMITED = (
    "get_records",
    "add_records",
    "get_molecules",
    "add_molecules",
    "manager_tasks_claim",
    "manager_tasks_return",
)
ALIKE = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "wal_compression")
PROGRAMS = {"qcengine": ["0.52.0"], "psi4": ["1.9.1"], "geometric": ["1.1.1"]}


@dataclass(frozen=True)
class Statements:
    """What a database had to do: statements run, buffers touched."""

    calls: int
    buffers: int


@dataclass
class Server:
    """One of the servers: where it answers, the roots of its process trees, its database."""

    name: str
    url: str
    processes: list[int]
    postgres: int
    dsn: str
    client: PortalClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = PortalClient(self.url, show_motd=False)
        self.client.timeout = TIMEOUT  # the client's own minute would be too short for some of what is measured
        # Kept open: a backend that ends would end inside somebody's measure.
        self._watch = psycopg.connect(self.dsn, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()

    def cost(self) -> Cost:
        """A clock for what this server does."""
        return Cost(self.processes, [self.postgres])

    def manager(self, tag: str, programs: dict[str, list[str]] | None = None) -> ManagerClient:
        """A compute manager that has announced itself."""
        manager = ManagerClient(ManagerName(cluster="bench", hostname="lab", uuid=str(uuid.uuid4())), address=self.url)
        manager.activate(qcportal.__version__, programs or PROGRAMS, [tag])
        return manager

    def query(self, text: LiteralString) -> list[tuple[Any, ...]]:
        """What the database answers."""
        return self._watch.execute(text).fetchall()

    def statements(self) -> Statements:
        """What the database has done so far."""
        row = self._watch.execute(
            "SELECT sum(calls), sum(shared_blks_hit + shared_blks_read) FROM pg_stat_statements"
            " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND query NOT LIKE '%pg_stat_statements%'"
        ).fetchone()
        assert row is not None
        return Statements(int(row[0] or 0), int(row[1] or 0))


@contextmanager
def postgres() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL with nothing in it, in a temporary folder."""
    data = Path(tempfile.mkdtemp(prefix="qchive-bench-"))
    data.chmod(0o755)
    with EmbeddedPostgres(data, settings=POSTGRES) as server:
        yield server
    shutil.rmtree(data, ignore_errors=True)


@contextmanager
def ours(*, processes: int = 1, upkeeps: int = 1) -> Iterator[Server]:
    """QCHive: the processes of `qchive up` without a worker, or more of them."""
    with postgres() as database:
        assert database.pid is not None
        before = {child.pid for child in psutil.Process().children()}
        settings = Settings(processes=processes, enable_security=False)
        with Local(workers=0, database_url=database.dsn, settings=settings) as archive, ExitStack() as stack:
            for _ in range(upkeeps - 1):
                stack.enter_context(_upkeep(database.dsn, settings))
            started = [child.pid for child in psutil.Process().children() if child.pid not in before]
            _prepare(database.dsn)
            with Server("qchive", archive.address, started, database.pid, database.dsn) as server:
                yield server


@contextmanager
def _upkeep(dsn: str, settings: Settings) -> Iterator[None]:
    text = msgspec.json.encode(msgspec.structs.replace(settings, database_url=dsn)).decode()
    argv = [sys.executable, "-m", "qchive.cli", "upkeep"]
    process = subprocess.Popen(argv, env={**os.environ, "QCHIVE_SETTINGS": text}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def peer(**settings: Any) -> Iterator[Server]:
    """The peer, unmodified: its server with its job runner; settings other than its own."""
    folder = Path(tempfile.mkdtemp(prefix="peer-bench-"))
    with postgres() as database:
        assert database.pid is not None
        dsn = database.dsn.replace("/qchive?", "/peer?", 1)
        port = _free_port()
        config = folder / "config.yaml"
        config.write_text(json.dumps({**_peer_settings(dsn, port), **settings}))  # JSON is YAML
        program = str(Path(sys.executable).with_name("qcfractal-server"))
        argv = [program, "--config", str(config)]
        subprocess.run([*argv, "init-db"], check=True, capture_output=True, timeout=START_TIMEOUT)
        _prepare(dsn)
        with (folder / "log.txt").open("w") as log:
            process = subprocess.Popen([*argv, "start"], stdout=log, stderr=log)
            try:
                url = f"http://127.0.0.1:{port}"
                _await(url, process, folder / "log.txt")
                with Server("peer", url, [process.pid], database.pid, dsn) as server:
                    yield server
            finally:
                process.terminate()
                process.wait(60)
    shutil.rmtree(folder, ignore_errors=True)


def check_alike(one: Server, other: Server) -> dict[str, Any]:
    """What both sides share, for the report.

    Raises:
        ValueError: limits or PostgreSQL's settings differ, so that a comparison would not be fair.
    """
    shared: dict[str, Any] = {}
    limits = [{k: s.client.api_limits[k] for k in LIMITED} for s in (one, other)]
    for name, values in {"api_limits": limits, "postgres": [_durability(s.dsn) for s in (one, other)]}.items():
        if values[0] != values[1]:
            raise ValueError(f"{name} differ: {values}")
        shared[name] = values[0]
    return shared


def _durability(dsn: str) -> dict[str, str]:
    with psycopg.connect(dsn) as conn:
        rows = conn.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(ALIKE),)).fetchall()
    return dict(rows)


def _prepare(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION pg_stat_statements")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _peer_settings(dsn: str, port: int) -> dict[str, Any]:
    parts = urlsplit(dsn)
    place = parse_qs(parts.query)
    return {
        "name": "peer",
        "enable_security": False,
        "allow_unauthenticated_read": True,
        "api_limits": {name: LIMITS[name] for name in LIMITED},
        "database": {
            "host": place["host"][0],
            "port": int(place["port"][0]),
            "database_name": "peer",
            "username": parts.username,
            "password": "unused",
            "own": False,
        },
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "secret_key": secrets.token_urlsafe(32),
            "jwt_secret_key": secrets.token_urlsafe(32),
        },
    }


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the peer's server ended:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(url + "/api/v1/ping", timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError(f"the peer's server did not answer within {START_TIMEOUT} s:\n{log.read_text()}")
