"""Progress bars: only for those who watch, and only if it takes a while."""

from __future__ import annotations

import io
import sys
import types

import pytest

from qchive.client import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal as stderr; in the test itself, because pytest puts its own there when a test begins."""
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def test_a_long_call_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    terminal = watched(monkeypatch)
    with progress.Bar("adding", 10) as bar:
        bar.at(3)
        bar.at(10, "nearly")
    assert "10/10" in terminal.getvalue()
    assert "nearly" in terminal.getvalue()


def test_a_short_call_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with progress.Bar("adding", 10) as bar:
        bar.at(10)
    assert terminal.getvalue() == ""


def test_nobody_who_watches_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.Bar("adding", 10) as bar:
        bar.at(10)
    assert screen.getvalue() == ""


def test_a_notebook_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert progress.is_watched()
