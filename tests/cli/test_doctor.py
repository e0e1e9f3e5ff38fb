"""`qchive doctor`."""

from __future__ import annotations

import socket
import urllib.parse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from qchive.cli import checks
from tests.cli.conftest import Run


@pytest.fixture
def port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def told(qchive: Run, *options: object) -> dict[str, Any]:
    ended = qchive("doctor", "--json", *options)
    found = ended.json
    assert ended.code == (0 if found["works"] else 1)
    assert all(check["advice"] for check in found["checks"] if check["state"] != "ok")
    return {check["name"]: check for check in found["checks"]} | {"works": found["works"]}


def test_a_machine_that_has_all_it_needs(qchive: Run, open_folder: Path, port: int) -> None:
    found = told(qchive, "--data", open_folder / "new", "--port", port)
    assert found["works"]
    assert "pyscf" in found["programs"]["found"]
    assert "tblite" in found["programs"]["found"]
    for name in ("PostgreSQL", "PostgreSQL's user", "data folder", "disk", "port", "machine", "locale"):
        assert found[name]["state"] in ("ok", "warning")
    assert not (open_folder / "new").exists(), "looking changes nothing"


def test_a_person_is_told_the_verdict(qchive: Run, open_folder: Path, port: int) -> None:
    ended = qchive("doctor", "--data", open_folder, "--port", port)
    assert ended.code == 0
    assert "`qchive up` should work." in ended.out


def test_a_port_taken_by_a_stranger_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        check = checks.listening(listening.getsockname()[1])
    assert check.state == "problem"
    assert "--port" in check.advice


def test_a_port_taken_by_an_archive_is_told_apart(archive: Any) -> None:
    check = checks.listening(urllib.parse.urlsplit(archive.address).port or 0)
    assert check.state == "warning"
    assert "qchive status" in check.advice


def test_missing_packages_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {"uvicorn", "qcengine"}
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name in gone else find_spec(name))
    server, worker = checks.packages()
    assert (server.state, server.advice) == ("problem", 'pip install "qchive[server]"')
    assert (worker.state, worker.advice) == ("problem", 'pip install "qchive[worker]"')
    assert "uvicorn" in server.found


def test_data_of_another_postgresql_are_a_problem(open_folder: Path) -> None:
    (open_folder / "postgres" / "cluster").mkdir(parents=True)
    (open_folder / "postgres" / "manifest.json").write_text('{"postgres_major": 9}')
    found = {check.name: check for check in checks.postgres(open_folder)}
    assert found["PostgreSQL"].state == "problem"
    assert "PostgreSQL 9" in found["PostgreSQL"].advice


def test_a_folder_that_cannot_be_made_is_a_problem(open_folder: Path) -> None:
    (open_folder / "file").write_text("in the way")
    found = {check.name: check for check in checks.postgres(open_folder / "file" / "data")}
    assert found["data folder"].state == "problem"


def test_a_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    import shutil

    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = {check.name: check for check in checks.postgres(open_folder)}
    assert found["disk"].state == "problem"
