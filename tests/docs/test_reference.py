"""The reference is fresh, complete, and its links lead somewhere."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import typer

from qchive import errors, status
from qchive.api import endpoints
from qchive.api.about import LIMITS
from qchive.cli import app
from qchive.client.portal import PortalClient
from qchive.diagnosis import ErrorClass
from qchive.kinds import KINDS
from qchive.server.settings import AutoReset, Settings
from qchive.worker.settings import WorkerSettings
from tests.docs import pages

REFERENCE = pages.DOCS / "reference"
GENERATED = [page for page in pages.PAGES if "<!-- generated:" in page.read_text(encoding="utf-8")]


@pytest.fixture
def make_reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(pages.ROOT / "tools"))
    return importlib.import_module("make_reference")


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.stem)
def test_a_page_says_what_the_code_says_now(page: Path, make_reference: ModuleType) -> None:
    text = page.read_text(encoding="utf-8")
    assert make_reference.refreshed(text) == text, "stale: run `make reference`"


def test_every_generated_part_stands_on_a_page(make_reference: ModuleType) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in GENERATED)
    assert {name for name in make_reference.BLOCKS if f"<!-- generated: {name} -->" not in text} == set()


def _commands(command: Any, name: str = "qchive") -> Iterable[str]:
    below = getattr(command, "commands", {})
    if not below:
        yield f"## {name}\n"
    for part, inner in below.items():
        yield from _commands(inner, f"{name} {part}")


def _calls() -> Iterable[str]:
    for name, _ in inspect.getmembers(PortalClient, inspect.isroutine):
        if not name.startswith("_"):
            yield f"### {name}\n"


def _error_types() -> Iterable[str]:
    from qchive.server import losing, returning
    from qchive.worker import failure

    found = [value for name, value in vars(failure).items() if name.isupper() and isinstance(value, str)]
    return (f"`{value}`" for value in (*found, losing.QUARANTINE, returning.UNFIT))


EXPECTED: dict[str, tuple[str, Callable[[], Iterable[str]]]] = {
    "endpoint": ("endpoints.md", lambda: (f"`{row.method} {row.path}`" for row in endpoints())),
    "error": ("errors.md", lambda: (f"`{code}`" for code in errors.BY_CODE)),
    "setting of servers": ("settings.md", lambda: (f"`{f.name}`" for f in msgspec.structs.fields(Settings))),
    "setting of workers": ("settings.md", lambda: (f"`{f.name}`" for f in msgspec.structs.fields(WorkerSettings))),
    "limit": ("settings.md", lambda: (f"`{name}`" for name in LIMITS)),
    "command": ("command-line.md", lambda: _commands(typer.main.get_command(app))),
    "kind": ("kinds.md", lambda: (f"## {name}\n" for name in KINDS)),
    "client method": ("client.md", _calls),
    "status": ("../explanation/life-of-a-record.md", lambda: (f"**{s.value}**" for s in status.Status)),
    "action": ("../explanation/life-of-a-record.md", lambda: (f"`{name}`" for name in status.ACTIONS)),
    "event": ("../explanation/life-of-a-record.md", lambda: (f"`{name}`" for name in status.EVENTS)),
    "type of failure": ("programs.md", _error_types),
    "class of failures": ("../explanation/failures.md", lambda: (f"| `{c.value}` |" for c in ErrorClass)),
    "setting of automatic resets": ("settings.md", lambda: (f"`{f.name}`" for f in msgspec.structs.fields(AutoReset))),
}


@pytest.mark.parametrize("what", EXPECTED)
def test_nothing_is_missing_from_the_documentation(what: str) -> None:
    name, expected = EXPECTED[what]
    text = (REFERENCE / name).read_text(encoding="utf-8")
    assert [one for one in expected() if one not in text] == []


@pytest.mark.parametrize("name", ["settings.md", "kinds.md", "programs.md", "command-line.md"])
def test_everything_that_can_be_given_has_its_sentence(name: str) -> None:
    """In tables of fields the meaning stands last, in those of options it stands second."""
    text = (REFERENCE / name).read_text(encoding="utf-8")
    silent = []
    for head, rows in re.findall(r"^\| (.*) \|\n\| ---.*\n((?:\| .*\n)+)", text, re.MULTILINE):
        place = {"meaning": -1, "default": 1}.get(head.split(" | ")[-1])
        for row in rows.splitlines() if place is not None else ():
            cells = [cell.strip() for cell in row.strip("|").split(" | ")]
            silent += [cells[0]] if not cells[place] else []
    assert silent == []


def test_every_dependency_has_its_sentence() -> None:
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for some in project["optional-dependencies"].values() for d in some)]
    names = {re.match(r"[\w.-]+", one)[0].lower() for one in wanted} - {"qchive"}  # type: ignore[index]
    page = (pages.DOCS / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    assert names == set(re.findall(r"^\| `([\w.-]+)` \|", page, re.MULTILINE))


def test_every_decision_is_listed() -> None:
    folder = pages.DOCS / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in folder.glob("0*.md") if f"]({page.name})" not in listed] == []


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        leads_to = (page.parent / path).resolve() if path else page
        assert leads_to.exists(), f"{target}: no such page"
        assert not anchor or anchor in _anchors(leads_to), f"{target}: no such heading"
