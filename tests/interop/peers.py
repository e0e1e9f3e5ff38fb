"""The peers, unmodified as published, set against a server of ours: the client, and the compute manager's program."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml
from qcportal import PortalClient

from qchive.server.settings import Settings

PATIENCE = 120.0
"""Seconds that a test waits for something that takes a few on a quiet machine."""


def portal(address: str, encoding: str = "application/json", *login: str) -> PortalClient:
    """The peer's client, logged in by name and password if they are given. It asks in one thread, and gives up at once
    where nobody listens."""
    client = PortalClient(address, *login, show_motd=False)
    client.encoding = encoding
    client.n_download_threads = 1
    client.retry_max = 0
    return client


def wait_until(what: Callable[[], Any], told: Callable[[], str] = str) -> Any:
    """Wait until `what` answers something true; `told` says more in the failure."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited for {PATIENCE} s in vain\n{told()}")


class ServerProcess:
    """A server of ours as a process of its own, which can be killed and started again on the same port."""

    def __init__(self, conninfo: str, settings: Settings | None = None) -> None:
        self._conninfo = conninfo
        self._settings = settings or Settings()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: Any = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = msgspec.structs.replace(self._settings, port=self._port, heartbeat_frequency=5)
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_serve, args=(self._conninfo, settings), daemon=True)
        self._process.start()
        wait_until(self._answers)

    def kill(self) -> None:
        """End it without any warning."""
        self._process.kill()
        self._process.join()

    def _answers(self) -> bool:
        assert self._process.is_alive(), "the server did not start"
        try:
            with urllib.request.urlopen(self.address + "/api/v1/ping", timeout=5):
                return True
        except OSError:
            return False


def _serve(conninfo: str, settings: Settings) -> None:
    from qchive.server.run import serve

    serve(conninfo, settings)


@contextmanager
def server_process(conninfo: str, settings: Settings | None = None) -> Iterator[ServerProcess]:
    """A started server, killed at the end."""
    server = ServerProcess(conninfo, settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class ComputeManager:
    """The peer's manager program with its local executor, in a folder of its own."""

    def __init__(self, address: str, folder: Path, *, tags: list[str], workers: int = 1, **login: str) -> None:
        self.log = folder / "manager.log"
        self._folder = folder
        self._output = folder / "output.txt"
        (folder / "scratch").mkdir()
        (folder / "manager.yaml").write_text(yaml.safe_dump(_configuration(address, folder, tags, workers, login)))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. It looks for programs with the `python3` that comes first on PATH."""
        here = Path(sys.executable).parent
        environment = os.environ | {"PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}"}
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                [here / "qcfractal-compute-manager", "--config", self._folder / "manager.yaml"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Let it finish as by Ctrl-C."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(PATIENCE) == 0, self.told()

    def end(self) -> None:
        """End it and all its children, if they still run."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def told(self) -> str:
        """What it has said."""
        return "\n".join(file.read_text()[-4000:] for file in (self._output, self.log) if file.exists())


def _configuration(address: str, folder: Path, tags: list[str], workers: int, login: dict[str, str]) -> dict[str, Any]:
    return {
        "cluster": "interop",
        "loglevel": "DEBUG",
        "logfile": str(folder / "manager.log"),
        "update_frequency": 1,
        "update_frequency_jitter": 0.0,
        "parsl_run_dir": str(folder / "parsl"),
        "server": {"fractal_uri": address, "verify": False, **login},
        "executors": {
            "here": {
                "type": "local",
                "compute_tags": tags,
                "cores_per_worker": 1,
                "memory_per_worker": 1,
                "max_workers": workers,
                "scratch_directory": str(folder / "scratch"),
            }
        },
    }


@contextmanager
def compute_manager(address: str, folder: Path, **options: Any) -> Iterator[ComputeManager]:
    """A started manager, ended at the end."""
    manager = ComputeManager(address, folder, **options)
    manager.start()
    try:
        yield manager
    finally:
        manager.end()
