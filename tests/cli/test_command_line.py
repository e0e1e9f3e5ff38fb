"""What all commands have in common."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from tests.cli.conftest import Run

COMMANDS = (
    "up",
    "demo",
    "doctor",
    "server",
    "upkeep",
    "worker",
    "backup",
    "restore",
    "upgrade",
    "move-to",
    "status",
    "submit",
    "records",
    "undo",
    "operations",
    "molecules",
)


def test_help_names_every_command(qchive: Run) -> None:
    ended = qchive("--help")
    assert ended.code == 0
    assert [name for name in COMMANDS if f" {name} " not in ended.out] == []


def test_help_loads_nothing_slow() -> None:
    slow = ("numpy", "qcelemental", "qcengine", "httpx", "psycopg", "pyscf", "rdkit", "uvicorn")
    code = f"import sys, qchive.cli; print([m for m in {slow} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_help_takes_less_than_half_a_second_of_cpu() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "qchive.cli", "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Seen: 0.22 s. The limit leaves room for slower machines.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


@pytest.mark.parametrize(
    "command", [["status"], ["records", "list"], ["records", "reset", "1"], ["records", "wait", "1"]]
)
def test_without_an_archive_a_sentence_says_what_to_do(qchive: Run, command: list[str]) -> None:
    ended = qchive(*command, "--address", "http://127.0.0.1:9")
    assert (ended.code, ended.out) == (1, "")
    assert "no archive answers at http://127.0.0.1:9; start one with `qchive up`" in ended.err
    assert "Traceback" not in ended.err


def test_the_address_may_stand_in_the_environment(qchive: Run, here: object) -> None:
    assert os.environ["QCHIVE_ADDRESS"] in qchive("status").out


def test_an_address_that_is_none_is_refused(qchive: Run) -> None:
    ended = qchive("status", "--address", "ftp://nowhere")
    assert ended.code != 0
    assert "Traceback" not in ended.err
