"""Any process of `qchive up` may be killed: it carries on, and what a client saw confirmed is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from qchive import PortalClient, errors
from tests.end_to_end.archive_up import archive_up

ROUNDS = 3


class Submitter(threading.Thread):
    """Adds records one after the other and remembers every confirmation, until told to stop."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.client = PortalClient(address)
        self.confirmed: dict[int, int] = {}
        self.enough = threading.Event()
        self.progress = threading.Condition()

    def run(self) -> None:
        n = 0
        while not self.enough.is_set():
            n += 1
            try:
                _, ids = self.client.add_singlepoints(
                    [{"symbols": ["He"], "geometry": [0.0, 0.0, float(n)]}],
                    "psi4",
                    "energy",
                    "hf",
                    "sto-3g",
                    keywords={"n": n},
                )
            except errors.Unavailable:
                continue
            with self.progress:
                self.confirmed[n] = ids[0]
                self.progress.notify_all()

    def stop(self) -> None:
        """End, and let go of the server."""
        self.enough.set()
        self.join(60)

    def wait_for_more(self, n: int, timeout: float = 60.0) -> None:
        """Wait until so many more are confirmed."""
        with self.progress:
            goal = len(self.confirmed) + n
            assert self.progress.wait_for(lambda: len(self.confirmed) >= goal, timeout), "nothing is confirmed any more"


@pytest.mark.parametrize("victim", ["server", "postgres", "upkeep"])
def test_killed_while_records_are_added(open_folder: Path, victim: str) -> None:
    with archive_up(open_folder, "--workers", "0") as up:
        submitter = Submitter(up.address)
        submitter.start()
        try:
            for _ in range(ROUNDS):
                submitter.wait_for_more(10)
                up.kill(victim)
            submitter.wait_for_more(10)
        finally:
            submitter.stop()
        confirmed = submitter.confirmed
        with submitter.client as client:
            records = client.get_singlepoints(list(confirmed.values()))
        assert [r.specification.keywords for r in records] == [{"n": n} for n in confirmed]
        assert len(set(confirmed.values())) == len(confirmed)


def test_everything_killed_at_once_and_started_again(open_folder: Path) -> None:
    with archive_up(open_folder, "--workers", "0") as up, PortalClient(up.address) as client:
        meta, ids = client.add_singlepoints(
            [{"symbols": ["He"], "geometry": [0.0, 0.0, 0.0]}], "psi4", "energy", "hf", "sto-3g"
        )
        assert meta.n_inserted == 1
        below = psutil.Process(up.process.pid).children(recursive=True)
        up.process.send_signal(signal.SIGKILL)
        up.process.wait(30)
        _, alive = psutil.wait_procs(below, timeout=30)
        assert not alive, "processes outlive the one that started them"
    with archive_up(open_folder, "--workers", "0") as up, PortalClient(up.address) as client:
        assert client.get_records(ids[0]).status == "waiting"


def test_ctrl_c_ends_all_of_it(open_folder: Path) -> None:
    with archive_up(open_folder, "--workers", "1") as up:
        below = psutil.Process(up.process.pid).children(recursive=True)
        assert up.end() == 0
        assert not psutil.wait_procs(below, timeout=10)[1]


def test_a_second_one_on_the_same_data_says_so(open_folder: Path) -> None:
    with archive_up(open_folder, "--workers", "0") as up:
        argv = [sys.executable, "-m", "qchive.cli", "up", "--data", str(open_folder), "--port", "0"]
        second = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=os.environ, check=False)
        assert second.returncode == 1
        assert str(up.process.pid) in second.stderr
        assert "Traceback" not in second.stderr
        with PortalClient(up.address) as client:
            assert client.ping()


def test_a_port_that_is_taken_is_said_to_be(open_folder: Path) -> None:
    with archive_up(open_folder, "--workers", "0") as up:
        port = up.address.rpartition(":")[2]
        other = open_folder / "other"
        argv = [sys.executable, "-m", "qchive.cli", "up", "--data", str(other), "--port", port]
        second = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=os.environ, check=False)
        assert second.returncode == 1
        assert f"Port {port} is taken" in second.stderr
