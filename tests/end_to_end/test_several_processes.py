"""A server of several processes: one dies, all are replaced, all end, and nobody who asks notices."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import psycopg

from qchive.server.upkeep.leader import _LOCK
from tests.end_to_end.served import Served, served
from tests.factories import until


class Load(threading.Thread):
    """Asks without a pause, over connections that are kept and over new ones, and keeps what went wrong."""

    def __init__(self, address: str, *, keep: bool) -> None:
        super().__init__()
        self.address, self.keep = address, keep
        self.answered = 0
        self.wrong: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self.address, timeout=30, trust_env=False) as client:
            while not self.enough.is_set():
                try:
                    headers = {} if self.keep else {"Connection": "close"}
                    status = client.get("/api/v1/ping", headers=headers).status_code
                    if status != 200:
                        self.wrong.append(str(status))
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                self.answered += 1


def _under_load(server: Served, do: Callable[[], None]) -> list[str]:
    loads = [Load(server.address, keep=n % 2 == 0) for n in range(4)]
    for load in loads:
        load.start()
    try:
        until(lambda: all(load.answered > 20 for load in loads))
        do()
        seen = [load.answered for load in loads]
        until(lambda: all(load.answered > before + 20 for load, before in zip(loads, seen, strict=True)))
    finally:
        for load in loads:
            load.enough.set()
        for load in loads:
            load.join(60)
    return [wrong for load in loads for wrong in load.wrong]


def _ready(server: Served, n: int) -> None:
    until(lambda: len(re.findall("Started server process", server.said)) >= n, 60)


def test_all_are_replaced_without_a_failed_request(database: str, tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text("name: before\nprocesses: 2\n")
    with served(database, tmp_path / "log", "--no-security", "--config", str(config)) as server:
        _ready(server, 2)
        before = {one.pid for one in server.workers()}
        assert len(before) == 2

        def replace() -> None:
            config.write_text("name: after\nprocesses: 3\n")
            server.send(signal.SIGHUP)
            until(lambda: "All processes are replaced" in server.said, 90)
            until(lambda: not before & {one.pid for one in server.workers()}, 60)

        assert _under_load(server, replace) == []
        assert len(server.workers()) == 3
        assert httpx.get(f"{server.address}/api/v1/information").json()["name"] == "after"


def test_settings_that_make_no_sense_replace_nothing(database: str, tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text("name: before\n")
    with served(database, tmp_path / "log", "--no-security", "--config", str(config)) as server:
        before = {one.pid for one in server.workers()}
        config.write_text("nam: after\n")
        server.send(signal.SIGHUP)
        until(lambda: "The processes stay as they are" in server.said)
        assert "Is name meant?" in server.said
        assert {one.pid for one in server.workers()} == before
        assert httpx.get(f"{server.address}/api/v1/information").json()["name"] == "before"


def test_one_that_is_killed_is_started_again_while_the_others_answer(database: str, tmp_path: Path) -> None:
    with served(database, tmp_path / "log", "--no-security", "--processes", "2") as server:
        _ready(server, 2)
        victim, other = server.workers()
        victim.kill()
        psutil.wait_procs([victim], timeout=30)
        for _ in range(20):
            assert httpx.get(f"{server.address}/api/v1/ping").status_code == 200
        until(lambda: len(server.workers()) == 2)
        assert other.pid in {one.pid for one in server.workers()}
        _ready(server, 3)


def test_each_of_them_answers(database: str, tmp_path: Path) -> None:
    with served(database, tmp_path / "log", "--no-security", "--processes", "2") as server:
        _ready(server, 2)
        until(lambda: all(_listens(one) for one in server.workers()))
        for process in server.workers():
            process.suspend()
            try:
                for _ in range(5):
                    assert httpx.get(f"{server.address}/api/v1/ping", timeout=30).status_code == 200
            finally:
                process.resume()


def test_none_of_them_outlives_the_main_process(database: str, tmp_path: Path) -> None:
    with served(database, tmp_path / "log", "--no-security", "--processes", "2") as server:
        below = server.workers()
        server.send(signal.SIGKILL)
        assert not psutil.wait_procs(below, timeout=30)[1]


def test_server_and_upkeep_read_the_same_file(database: str, tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text(f"name: of the file\nport: 0\nenable_security: false\ndatabase_url: {database}\n")
    env = {name: value for name, value in os.environ.items() if name != "QCHIVE_DATABASE_URL"}
    env["QCHIVE_CONFIG"] = str(config)
    log = tmp_path / "upkeep"
    with served(None, tmp_path / "log", env=env) as server:
        assert httpx.get(f"{server.address}/api/v1/information").json()["name"] == "of the file"
        with log.open("w") as output:
            upkeep = subprocess.Popen([sys.executable, "-m", "qchive.cli", "upkeep"], env=env, stderr=output)
        try:
            until(lambda: _leads(database))
        finally:
            upkeep.terminate()
            assert upkeep.wait(60) == 0, log.read_text()


def test_upkeep_reads_its_settings_again_and_ends_when_it_is_told_to(database: str, tmp_path: Path) -> None:
    def jobs() -> list[str]:
        with psycopg.connect(database) as conn:
            return [name for (name,) in conn.execute("SELECT name FROM job").fetchall()]

    config, log = tmp_path / "server.yaml", tmp_path / "upkeep"
    config.write_text(f"database_url: {database}\n")
    argv = [sys.executable, "-m", "qchive.cli", "upkeep", "--config", str(config)]
    with log.open("w") as output:
        upkeep = subprocess.Popen(argv, stderr=output)
    try:
        until(lambda: _leads(database))
        until(lambda: "fill_statistics" in jobs())
        config.write_text(f"database_url: {database}\ninternal_job_kep: 1h\n")
        upkeep.send_signal(signal.SIGHUP)
        until(lambda: "Upkeep goes on as it is" in log.read_text())
        assert "Is internal_job_keep meant?" in log.read_text()
        config.write_text("name: without a database\n")
        upkeep.send_signal(signal.SIGHUP)
        until(lambda: log.read_text().count("Upkeep goes on as it is") == 2)
        assert "delete_old_internal_jobs" not in jobs()
        config.write_text(f"database_url: {database}\ninternal_job_keep: 1h\nlog_format: json\n")
        upkeep.send_signal(signal.SIGHUP)
        until(lambda: "delete_old_internal_jobs" in jobs())
        upkeep.send_signal(signal.SIGHUP)
        upkeep.send_signal(signal.SIGTERM)
        assert upkeep.wait(60) == 0, log.read_text()
    finally:
        upkeep.kill()
        upkeep.wait(30)


def test_a_request_that_runs_is_answered_before_the_end(database: str, tmp_path: Path) -> None:
    with served(database, tmp_path / "log", "--no-security") as server, psycopg.connect(database) as blocker:
        blocker.execute("LOCK TABLE molecule IN ACCESS EXCLUSIVE MODE")
        answers: list[int] = []

        def ask() -> None:
            body = {"limit": 5}
            answers.append(httpx.post(f"{server.address}/api/v1/molecules/query", json=body, timeout=60).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: _waits(database))
        server.send(signal.SIGTERM)
        place = ("127.0.0.1", int(server.address.rpartition(":")[2]))
        until(lambda: not _connects(place))
        assert server.process.poll() is None
        blocker.rollback()
        asking.join(60)
        assert answers == [200]
        assert server.process.wait(60) == 0


def test_a_request_that_takes_too_long_is_not_waited_for(database: str, tmp_path: Path) -> None:
    options = ("--no-security", "--set", "shutdown_timeout=1s")
    with served(database, tmp_path / "log", *options) as server, psycopg.connect(database) as blocker:
        blocker.execute("LOCK TABLE molecule IN ACCESS EXCLUSIVE MODE")
        with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as client:
            client.sendall(
                b"POST /api/v1/molecules/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b'Content-Length: 12\r\n\r\n{"limit": 5}'
            )
            until(lambda: _waits(database))
            server.send(signal.SIGTERM)
            assert server.process.wait(60) == 0


def _waits(database: str) -> bool:
    with psycopg.connect(database) as conn:
        found = conn.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return bool(found and found[0])


def _connects(place: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(place) == 0


def _listens(process: psutil.Process) -> bool:
    return any(one.status == psutil.CONN_LISTEN for one in process.net_connections("tcp"))


def _leads(database: str) -> bool:
    held = (
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) + objid::bigint = %s"
    )
    with psycopg.connect(database) as conn:
        return conn.execute(held, [_LOCK]).fetchone() is not None
