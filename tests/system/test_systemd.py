"""The units of the page for administrators: systemd understands them, and their lines do what the page says."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from qchive import PortalClient
from qchive.db.migrate import migrate
from tests.docs.pages import DOCS, blocks
from tests.factories import sql, until

pytestmark = pytest.mark.system

PAGE = DOCS / "howto" / "run-a-server-for-others.md"
INSTALLED = "/opt/qchive/bin/"
CONFIG = "/etc/qchive/server.yaml"
UNITS = ("server", "upkeep")


def unit(name: str, config: Path) -> str:
    """A unit of the page, for where things are here; that of upkeep is made from the server's as the page says."""
    (block,) = blocks(PAGE, "ini")
    text = block.code
    for there, here in ((INSTALLED, f"{Path(sys.executable).parent}/"), (CONFIG, str(config)), ("User=qchive\n", "")):
        assert there in text
        text = text.replace(there, here)
    return text.replace("qchive server", f"qchive {name}")


def lines(text: str) -> configparser.SectionProxy:
    """What the unit's service is."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(text)
    return parser["Service"]


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_the_unit(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"qchive-{name}.service"
    file.write_text(unit(name, tmp_path / "server.yaml"))
    said = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True)
    about_it = [line for line in said.stderr.splitlines() if "qchive" in line]
    assert (said.returncode, about_it) == (0, [])


def start(name: str, config: Path, log: Path) -> subprocess.Popen[bytes]:
    """What systemd does: the line, with nothing in the environment but what the unit has."""
    service = lines(unit(name, config))
    environment = dict([service["Environment"].split("=", 1)])
    environment |= {"PATH": os.defpath, **{k: v for k, v in os.environ.items() if k == "PYTHONPATH"}}
    with log.open("a") as output:
        return subprocess.Popen(
            shlex.split(service["ExecStart"]), stdout=output, stderr=output, env=environment, cwd="/"
        )


def reload(name: str, config: Path, process: subprocess.Popen[bytes]) -> None:
    line = lines(unit(name, config))["ExecReload"].replace("$MAINPID", str(process.pid))
    subprocess.run(shlex.split(line), check=True)


@pytest.fixture
def config(database: str, tmp_path: Path) -> Path:
    """The page's file, with the address of our database, and a port that is free."""
    text = next(iter(blocks(PAGE, "yaml"))).code
    assert "postgresql:///qchive" in text
    file = tmp_path / "server.yaml"
    file.write_text(text.replace("postgresql:///qchive", database).replace("processes: 4", "processes: 2\nport: 0"))
    return file


def test_a_server_under_systemd_says_the_password_reloads_and_ends(config: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start("server", config, log)
    try:
        until(lambda: "The server answers at" in log.read_text(), 60)
        (address,) = re.findall(r"answers at (\S+)", log.read_text())
        until(lambda: _pings(address), 60)
        (line,) = [line for line in log.read_text().splitlines() if "password" in line]
        (password,) = re.findall(r"its password (\S+) \.", line)
        with PortalClient(address, "admin", password) as client:
            assert client.get_server_information()["name"] == "Our archive"
            config.write_text(config.read_text().replace("Our archive", "Another name"))
            reload("server", config, process)
            until(lambda: client.get_server_information()["name"] == "Another name", 90)
        process.send_signal(signal.SIGTERM)  # KillMode=mixed: to the main process only
        assert process.wait(int(lines(unit("server", config))["TimeoutStopSec"])) == 0
    finally:
        process.kill()
        process.wait(30)


def _pings(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/v1/ping").status_code == 200
    except httpx.TransportError:
        return False


def test_upkeep_under_systemd_reloads_and_ends(config: Path, database: str, tmp_path: Path) -> None:

    migrate(database)
    log = tmp_path / "log"
    process = start("upkeep", config, log)
    jobs = "SELECT DISTINCT name FROM job ORDER BY 1"
    try:
        until(lambda: sql(database, jobs) == [("fill_statistics",)])
        config.write_text(config.read_text() + "internal_job_keep: 1d\n")
        reload("upkeep", config, process)
        until(lambda: sql(database, jobs) == [("delete_old_internal_jobs",), ("fill_statistics",)])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(30)
