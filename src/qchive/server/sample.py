"""A file of settings to begin with, made of their declaration."""

from __future__ import annotations

import textwrap
from typing import Any

import msgspec

from qchive import sentences
from qchive.server.settings import Settings

_HEAD = """\
## Settings of a QCHive server. Lines with one # hold the defaults: take it away to change one.
## Times are seconds, or like 15m or 1d2h; sizes are bytes, or like 256 MiB.
"""


def sample() -> str:
    """The text of the file, in YAML."""
    return _HEAD + _parts(Settings(), "")


def _parts(struct: msgspec.Struct, indent: str) -> str:
    said = sentences.of(type(struct))
    return "".join(
        f"\n{_comment(said[field.name], indent)}\n{_line(field.name, getattr(struct, field.name), indent)}"
        for field in msgspec.structs.fields(type(struct))
    )


def _comment(text: str, indent: str) -> str:
    return textwrap.fill(text, 100, initial_indent=f"##{indent} ", subsequent_indent=f"##{indent} ")


def _line(name: str, value: Any, indent: str) -> str:
    if isinstance(value, msgspec.Struct):
        return f"#{indent}{name}:\n{_parts(value, indent + '  ')}"
    return f"#{indent}{name}: {msgspec.json.encode(value).decode()}\n"
