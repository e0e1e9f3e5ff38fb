"""The command line as a person or a script meets it: arguments in; exit code, stdout and stderr out."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.factories import Http, http

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
