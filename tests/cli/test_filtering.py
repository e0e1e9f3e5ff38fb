"""The options that say which records a command is about."""

from __future__ import annotations

import typer

from qchive.api.records import Selection
from qchive.cli import app
from qchive.cli.filtering import Filter

FILTERED = ("list", "count", "reset", "cancel", "uncancel", "invalidate", "uninvalidate", "delete", "undelete")


def test_the_filter_language_has_an_option_for_each_word() -> None:
    assert set(Filter.__struct_fields__) == set(Selection.__struct_fields__)


def test_the_same_options_stand_on_every_command_that_filters() -> None:
    root: object = typer.main.get_command(app)
    records = root.commands["records"].commands  # type: ignore[attr-defined]
    for name in (*FILTERED, "modify", "comment", "purge"):
        assert {p.name for p in records[name].params} >= set(Filter.__struct_fields__), name
