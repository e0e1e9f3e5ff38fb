"""The command line as a person or a script meets it: arguments in; exit code, stdout and stderr out."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.factories import SPEC, Http, Manager, add, claim_and_return, failure, http, make_molecule

WATER = "3\nwater\nO 0 0 0.1173\nH 0 0.7572 -0.4692\nH 0 -0.7572 -0.4692\n"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


Run = Callable[..., Ended]


class AtTerminal:
    """A command with a terminal as its stdin and stderr; stdout is a pipe."""

    def __init__(self, *args: object) -> None:
        self._here, there = pty.openpty()
        argv = [sys.executable, "-m", "qchive.cli", *map(str, args)]
        self._process = subprocess.Popen(argv, stdin=there, stdout=subprocess.PIPE, stderr=there)
        os.close(there)
        self._seen = b""

    def asks(self, question: str) -> None:
        """Wait until the screen shows this."""
        deadline = time.monotonic() + 60
        while question.encode() not in self._seen:
            assert time.monotonic() < deadline, self._seen.decode()
            if select.select([self._here], [], [], 1)[0]:
                self._seen += self._read()

    def answer(self, line: str) -> Ended:
        """Type this line, and see how the command ends."""
        os.write(self._here, f"{line}\n".encode())
        while read := self._read():
            self._seen += read
        out, _ = self._process.communicate(timeout=60)
        os.close(self._here)
        return Ended(self._process.returncode, out.decode(), self._seen.decode())

    def _read(self) -> bytes:
        try:
            return os.read(self._here, 65536)
        except OSError:  # nobody is at the other end any more
            return b""


@pytest.fixture
def qchive(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs `qchive` with these arguments; `stdin` is what it may read."""
    from qchive.cli import main

    def run(*args: object, stdin: str = "") -> Ended:
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.setattr(sys, "argv", ["qchive", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capfdbinary.readouterr()
        return Ended(int(code or 0), out.decode(), err.decode())

    return run


@pytest.fixture
def here(archive: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fresh archive, which is where commands go."""
    monkeypatch.setenv("QCHIVE_ADDRESS", archive.address)
    return archive


@pytest.fixture
def api(here: Any) -> Iterator[Http]:
    """Requests to that archive."""
    with http(here.address) as made:
        yield made


@pytest.fixture
def water(tmp_path: Path) -> Path:
    """An xyz file."""
    path = tmp_path / "water.xyz"
    path.write_text(WATER)
    return path


@pytest.fixture
def one_of_each(api: Http) -> dict[str, int]:
    """A complete, a failed, a running and a waiting single point, and a complete optimization."""
    manager = Manager(api)
    output = {"stdout": "converged after 9 cycles\n", "native_files": {"input": "molecule {\n}\n"}}
    (complete,) = add(
        api, molecules=[make_molecule(symbols=("H", "H"))], spec={**SPEC, "protocols": {"native_files": "all"}}
    )
    claim_and_return(manager, **output)
    (failed,) = add(api, spec={**SPEC, "method": "mp2"})
    (task,) = manager.claim()
    manager.give_one(task["id"], failure(input_data={"stdout": "iteration 1\n"}))
    (optimization,) = add(api, kind="optimization")
    claim_and_return(manager)
    (running,) = add(api)
    manager.claim()
    (waiting,) = add(api, spec={**SPEC, "program": "other"}, compute_tag="rare")
    return {"complete": complete, "error": failed, "optimization": optimization, "running": running, "waiting": waiting}
