"""Lines of the log: for people or for programs, one event each, without secrets, and nobody outside can forge one."""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being served here, if one is."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRETS = (
    (re.compile(r"(\w://[^\s:/@]*:)[^\s@]+(?=@)"), r"\1***"),
    (re.compile(r"(?i)\b(bearer |basic )[\w.~+/=-]{8,}"), r"\1***"),
    (
        re.compile(r"(?i)((?:password|secret|token|api_key|authorization)\w*['\"]?\s*[=:]\s*['\"]?)[^\s'\",}&]+"),
        r"\1***",
    ),
)


class LogFormat(StrEnum):
    """How lines are written."""

    text = "text"
    json = "json"


class LogLevel(StrEnum):
    """How important a line is, in any case."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

    @classmethod
    def _missing_(cls, value: object) -> LogLevel | None:
        return next((level for level in cls if level.value == str(value).upper()), None)


def set_up(form: LogFormat = LogFormat.text, level: LogLevel = LogLevel.INFO) -> None:
    """Have everything that this process logs written to stderr, from now on like this."""
    root = logging.getLogger()
    ours = [one for one in root.handlers if isinstance(one.formatter, JsonLines | TextLines)]
    if not ours:
        ours = [logging.StreamHandler()]
        logging.basicConfig(handlers=ours)
    for handler in ours:
        handler.setFormatter(JsonLines() if form is LogFormat.json else TextLines())
    root.setLevel(level.value)
    logging.getLogger("httpx").setLevel(logging.WARNING)


def without_secrets(text: str) -> str:
    """The text without passwords and tokens, as far as they can be told."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def on_one_line(text: str) -> str:
    """The text with everything escaped that could begin a new line or command a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class TextLines(logging.Formatter):
    """For people. A traceback follows its line, on lines that begin with a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        now = datetime.fromtimestamp(record.created, UTC).isoformat(sep=" ", timespec="milliseconds")
        within = f" [{on_one_line(asked)}]" if (asked := request_id.get()) else ""
        said = on_one_line(without_secrets(record.getMessage()))
        lines = [f"{now.removesuffix('+00:00')}Z {record.levelname} {record.name}{within}: {said}"]
        lines += [f"  | {on_one_line(line)}" for line in _trouble(self, record).splitlines()]
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """For programs: an object on each line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            "process": record.process,
        }
        if asked := request_id.get():
            line["request_id"] = asked
        if trouble := _trouble(self, record):
            line["error"] = trouble
        return msgspec.json.encode(line).decode()


def _trouble(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return without_secrets(formatter.formatException(record.exc_info)) if record.exc_info else ""
