"""The pages of the documentation, their blocks of code, and how these are run.

Code that a page shows is run from top to bottom: `python` blocks share their names, `sh` blocks a folder, and both talk
to an archive of the test's own instead of the one at the default address. A `text` block right below is what is
printed; `…` in it stands for anything. What cannot run in a test (servers that go on for ever, other machines) is a
`console` block; its `qchive` commands are checked for options that do not exist.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from qchive.client.portal import PortalClient

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
DEFAULT_ADDRESS = "http://127.0.0.1:7777"
SECURE = "<!-- archive: secure -->"
"""On a page whose code is for an archive where people log in; the reader is its administrator."""
PASSWORD = "the-password-it-said"
"""Stands on pages for the administrator's."""

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$\n*(?:^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code: its language, line in the page, text, and what it prints if the page says so."""

    language: str
    line: int
    code: str
    printed: str | None


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The blocks of these languages, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        if match[1] in languages:
            yield Block(match[1], text.count("\n", 0, match.start()) + 2, match[2], match[3])


def is_secure(page: Path) -> bool:
    """Whether its code is for an archive where people log in."""
    return SECURE in page.read_text(encoding="utf-8")


def run(page: Path, address: str, database: str, folder: Path, password: str | None = None) -> None:
    """Run the page's code, and compare what it prints with what the page says; with the password, as administrator."""
    names: dict[str, Any] = {"__name__": "__main__"}
    here = {"QCHIVE_ADDRESS": address, "QCHIVE_DATABASE_URL": database}
    if password is not None:
        here |= {"QCHIVE_USERNAME": "admin", "QCHIVE_PASSWORD": password}
    with contextlib.chdir(folder), contextlib.ExitStack() as left_open:
        left_open.callback(lambda: [value.close() for value in names.values() if isinstance(value, PortalClient)])
        for block in blocks(page, "python", "sh"):
            where = f"{page.relative_to(ROOT)}:{block.line}"
            code = block.code.replace(DEFAULT_ADDRESS, address).replace(PASSWORD, password or PASSWORD)
            printed = _python(code, where, names) if block.language == "python" else _shell(code, where, here)
            if block.printed is not None:
                printed = printed.replace(address, DEFAULT_ADDRESS)
                assert fits(printed, block.printed), f"{where} prints\n{printed}\nbut the page says\n{block.printed}"


def fits(printed: str, said: str) -> bool:
    """Whether text is what a page says: blanks at the ends of lines do not count, `…` stands for anything."""
    lines = [re.escape(line.rstrip()).replace("…", ".*") for line in said.strip("\n").splitlines()]
    text = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
    return re.fullmatch("\n".join(lines), text, re.DOTALL) is not None


def _python(code: str, where: str, names: dict[str, Any]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, where, "exec"), names)
    return out.getvalue()


def _shell(code: str, where: str, here: dict[str, str]) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **here,
        "COLUMNS": "100",
    }
    environment.pop("FORCE_COLOR", None)
    done = subprocess.run(["bash", "-e", "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
