"""What the pages show is what happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from qchive import Local
from qchive.cli import app
from tests.docs import pages

RUN = [page for page in pages.PAGES if any(pages.blocks(page, "python", "sh"))]
SHOWN = [page for page in pages.PAGES if any(pages.blocks(page, "console"))]


def _name(page: Path) -> str:
    return str(page.relative_to(pages.ROOT))


@pytest.fixture(scope="module")
def archive() -> Iterator[Local]:
    """An archive whose worker has computed something, as a reader's would have."""
    with Local(workers=1) as archive:
        with archive.client() as client:
            molecule = {"symbols": ["Kr"], "geometry": [0.0, 0.0, 0.0]}
            client.wait(client.add_singlepoints(molecule, "tblite", "energy", "gfn2-xtb")[1], timeout=60)
        yield archive


@pytest.fixture(scope="module")
def secure() -> Iterator[Local]:
    """An archive where people log in."""
    from qchive.server.settings import Settings

    with Local(workers=0, settings=Settings(enable_security=True)) as archive:
        assert archive.admin_password is not None
        yield archive


@pytest.mark.xdist_group("examples")
@pytest.mark.parametrize("page", [page for page in RUN if pages.is_secure(page)], ids=_name)
def test_so_do_those_of_a_page_about_logging_in(page: Path, secure: Local, tmp_path: Path) -> None:
    pages.run(page, secure.address, secure.database, tmp_path, secure.admin_password)


@pytest.mark.xdist_group("examples")
@pytest.mark.parametrize("page", [page for page in RUN if not pages.is_secure(page)], ids=_name)
def test_the_examples_of_a_page_run_and_print_what_it_says(page: Path, archive: Local, open_folder: Path) -> None:
    pages.run(page, archive.address, archive.database, open_folder)


def test_the_tutorial_and_the_readme_are_among_the_pages_that_run() -> None:
    assert {"README.md", "docs/tutorial/first-results.md"} <= set(map(_name, RUN))


@pytest.mark.parametrize("page", SHOWN, ids=_name)
def test_commands_that_are_only_shown_exist_with_their_options(page: Path) -> None:
    root: Any = typer.main.get_command(app)
    for block in pages.blocks(page, "console"):
        for line in block.code.replace("\\\n", " ").splitlines():
            words = line.split("#")[0].removeprefix("$ ").split()
            words = words[words.index("--") + 1 :] if words[:1] == ["runuser"] else words
            if words[:1] == ["qchive"]:
                _check(root, words[1:], line)


def _check(command: Any, words: list[str], line: str) -> None:
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert used <= known | {"--help"}, f"{line}: there is no {', '.join(used - known)}"
    assert not hasattr(command, "commands") or not words or words == ["--help"], f"{line}: no such command"


@pytest.mark.parametrize(
    ("printed", "said", "same"),
    [
        ("a b\n", "a b", True),
        ("a  \nb\n", "a\nb", True),
        ("energy -5.07054\n", "energy -5.0…", True),
        ("one\ntwo\nthree\n", "one\n…\nthree", True),
        ("a.b\n", "axb", False),
        ("one\ntwo\n", "one", False),
    ],
)
def test_dots_stand_for_anything_and_nothing_else_does(printed: str, said: str, same: bool) -> None:
    assert pages.fits(printed, said) is same
