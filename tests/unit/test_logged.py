"""Lines of the log: one for each event, for people or programs, and no one outside can write one."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from qchive.logged import JsonLines, LogFormat, LogLevel, TextLines, request_id


def line(formatter: logging.Formatter, message: str, *args: Any, error: bool = False) -> str:
    try:
        raise ValueError("deep\n2026-01-01 INFO forged: inside")
    except ValueError as caught:
        info = (ValueError, caught, caught.__traceback__) if error else None
    return formatter.format(logging.LogRecord("qchive.x", logging.WARNING, "", 1, message, args, info))


FORGERIES = ["a\nb", "a\r\nb", "a\x85b", "a\u2028b", "a\x1b[2Jb", "a\0b", "a\x9bb"]


@pytest.mark.parametrize("text", FORGERIES, ids=repr)
def test_nobody_can_begin_a_line_or_command_a_terminal(text: str) -> None:
    for formatter in (TextLines(), JsonLines()):
        said = line(formatter, "path %s", text)
        assert len(said.splitlines()) == 1 or formatter.__class__ is JsonLines
        assert not set("\n\r\0\x1b") & set(said)
    assert json.loads(line(JsonLines(), "path %s", text))["message"] == f"path {text}"


def test_a_traceback_cannot_be_taken_for_another_event() -> None:
    first, *rest = line(TextLines(), "it failed", error=True).split("\n")
    assert first.endswith("WARNING qchive.x: it failed")
    assert rest
    assert all(more.startswith("  | ") for more in rest)
    assert rest[-1] == "  | 2026-01-01 INFO forged: inside"
    whole = line(JsonLines(), "it failed", error=True)
    assert "\n" not in whole
    assert json.loads(whole)["error"].startswith("Traceback")


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("cannot reach postgresql://ada:dragon@db/x", "dragon"),
        ("password=dragon is wrong", "dragon"),
        ('{"password": "dragon", "a": 1}', "dragon"),
        ("sent Authorization: Bearer dragon.dragon.dragon", "dragon"),
        ("api_token=dragon&x=1", "dragon"),
    ],
)
def test_passwords_and_tokens_are_left_out(said: str, hidden: str) -> None:
    for formatter in (TextLines(), JsonLines()):
        assert hidden not in line(formatter, said)


def test_a_line_names_the_request_it_belongs_to() -> None:
    token = request_id.set("r-1")
    try:
        assert " WARNING qchive.x [r-1]: text" in line(TextLines(), "text")
        assert json.loads(line(JsonLines(), "text"))["request_id"] == "r-1"
    finally:
        request_id.reset(token)
    assert "request_id" not in json.loads(line(JsonLines(), "text"))


def test_levels_and_formats_have_their_names_in_any_case() -> None:
    assert LogLevel("warning") is LogLevel.WARNING
    assert LogFormat("json") is LogFormat.json
    with pytest.raises(ValueError, match="loud"):
        LogLevel("loud")
