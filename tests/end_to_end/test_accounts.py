"""The first start of an archive where people log in, and workers that do."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import qchive
from qchive import PortalClient, errors
from qchive.server.settings import Settings
from tests.end_to_end.archive_up import archive_up
from tests.factories import until

HELIUM = {"symbols": ["He"], "geometry": [0.0, 0.0, 0.0]}


@contextmanager
def server(database: str, output: Path, *options: str) -> Iterator[str]:
    """A `qchive server` as an administrator starts it; its address, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "qchive.cli", "server", "--port", str(port), *options]
    with output.open("a") as log:
        process = subprocess.Popen(argv, stderr=log, stdout=log, env=os.environ | {"QCHIVE_DATABASE_URL": database})
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: _answers(address, process, output), 60)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _answers(address: str, process: subprocess.Popen[bytes], output: Path) -> bool:
    assert process.poll() is None, output.read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0


def said_password(output: Path) -> str:
    (password,) = re.findall(r"'admin', its password (\S+) \.", output.read_text())
    return str(password)


def test_the_first_start_makes_an_administrator_and_says_the_password_once(database: str, tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    with server(database, output) as address:
        password = said_password(output)
        with pytest.raises(errors.AuthenticationRequired, match="Server requires login"):
            PortalClient(address)
        with PortalClient(address, "admin", password) as admin:
            assert admin.get_user().role == "admin"
    with server(database, output) as address, PortalClient(address, "admin", password):
        assert said_password(output) == password, "only once"


def test_without_security_there_is_nobody(database: str, tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    with (
        server(database, output, "--no-security") as address,
        PortalClient(address) as client,
        pytest.raises(errors.AuthenticationRequired, match="security disabled"),
    ):
        client.list_users()
    assert "password" not in output.read_text()


def test_an_archive_on_one_machine_logs_its_own_worker_in() -> None:
    with qchive.Local(workers=1, settings=Settings(enable_security=True)) as archive:
        assert archive.admin_password is not None
        with archive.client(username="admin", password=archive.admin_password) as client:
            _, ids = client.add_singlepoints([HELIUM], "tblite", "energy", "gfn1-xtb", None)
            (record,) = client.wait(ids, timeout=120, progress=False)
            assert record.status is qchive.RecordStatusEnum.complete
            assert record.owner_user == "admin"
            assert record.manager_name is not None
            assert client.get_managers(record.manager_name).username == "local-worker"


def test_up_asks_people_to_log_in_if_it_is_told_to(open_folder: Path) -> None:
    with (
        archive_up(open_folder, "--security", "--workers", "0") as up,
        pytest.raises(errors.AuthenticationRequired, match="Server requires login"),
    ):
        PortalClient(up.address)


def test_up_reads_settings_as_a_server_does(open_folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text(
        "name: Of the file\nenable_security: true\nallow_unauthenticated_read: true\n"
        "host: 0.0.0.0\nprocesses: 3\ntls_certificate: /nowhere\ntls_key: /nowhere\n"
    )
    options = ("--config", str(config), "--set", "motd=From the flag", "--workers", "0", "--no-migrate")
    with archive_up(open_folder, *options[:-1]) as up, PortalClient(up.address, show_motd=False) as client:
        found = client.get_server_information()
        assert (found["name"], found["motd"]) == ("Of the file", "From the flag")
        with pytest.raises(errors.Forbidden):
            client.list_users()
    with archive_up(open_folder, *options, "--no-security") as up, PortalClient(up.address, show_motd=False) as client:
        assert client.get_server_information()["name"] == "Of the file"
        assert list(client.query_operations()) == [], "everybody may"
