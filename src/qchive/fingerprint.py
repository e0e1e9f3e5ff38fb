"""What an error has in common with others of its sort: its message without all that differs from one to the next."""

from __future__ import annotations

import re
from hashlib import sha256

MOST = 16 << 10
"""Characters of a message that are looked at; of longer ones beginning and end."""

_LINES = 4
"""Lines of a message that tell, at most."""
_LINE = 1000
"""Characters of a line that are looked at."""
_TRACEBACK = "Traceback (most recent call last):"


def fingerprint(error_type: str, message: str) -> str:
    """12 hex digits, the same for errors that differ in numbers, paths, names of machines … only."""
    return sha256(f"{error_type}\0{normal(message)}".encode(errors="replace")).hexdigest()[:12]


def normal(message: str) -> str:
    """The telling part of a message, with marks in place of what varies."""
    told = telling(message)
    text = _replaced(told, _VARYING)
    if _ONLY_QUOTED.fullmatch(text):
        # `KeyError: 'geometry'` says nothing but what it quotes.
        text = _replaced(told, [part for part in _VARYING if part[1] != QUOTED])
    return " ".join(_NUMBERS.sub("#", text).split())


def telling(message: str) -> str:
    """The part of a message that says what happened: of a traceback the end, of long texts the first and last lines."""
    lines = [_cut(line.rstrip(), _LINE) for line in within(message).splitlines()]
    if (raised := _raised(lines)) is not None:
        return raised
    lines = [line for line in lines if line.strip()]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES // 2], *lines[-_LINES // 2 :]]
    return "\n".join(lines)


def within(message: str) -> str:
    """A message, or beginning and end of a very long one."""
    return _cut(message, MOST)


def shortened(message: str, most: int) -> str:
    """A message of at most `most` characters that still ends with what tells."""
    if len(message) <= most:
        return message
    end = telling(message)[: most // 2]
    return message[: most - len(end) - len(_GAP)] + _GAP + end


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 4]}\n{text[len(text) - most * 3 // 4 :]}"


def _raised(lines: list[str]) -> str | None:
    """What the last traceback in a text ends with: the exception, with all lines of its message."""
    starts = [n for n, line in enumerate(lines) if _TRACEBACK in line]
    if not starts:
        return None
    rest = iter(lines[starts[-1] + 1 :])
    found = next(([line] for line in rest if line and not line[0].isspace()), None)
    if found is None:
        return None
    for line in rest:
        if not line and not found[-1].endswith(":"):
            break
        if line:
            found.append(line)
        if len(found) == _LINES:
            break
    return "\n".join(found)


def _replaced(text: str, varying: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, mark in varying:
        text = pattern.sub(mark, text)
    return text


QUOTED = "<quoted>"
_GAP = "\n  …\n"
_TLD = "local|localdomain|internal|intranet|lan|cluster|com|org|net|edu|gov|mil|int|[a-z]{2}"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"

# What varies, and the mark that stands for it. The order matters: what is inside of something else comes later.
_VARYING: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), mark)
    for pattern, mark in (
        (r"\x1b\[[0-9;]*[A-Za-z]", ""),
        (r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", "<url>"),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "#"),
        (r"\b0[xX][0-9a-fA-F]+\b", "#"),
        (
            rf"\b(?:{_DAY},?\s+)?(?:{_MONTH}\s+\d{{1,2}}|\d{{1,2}}\s+{_MONTH})\b,?(?:\s+\d[\d:.]*)*(?:\s+[A-Z]{{3,4}}\b)?",
            "#",
        ),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|\s?[+-]\d\d:?\d\d)?", "#"),
        (r"(?<![\w.])[\w.+-]+@[\w.-]+\w", "<host>"),
        (r"\b(?i:host(?:name)?|node|server)(?:\s*[:=]\s*|\s+)['\"]?[\w.-]*[\d-][\w.-]*\w['\"]?", "<host>"),
        (rf"\b[a-z0-9](?:[a-z0-9-]*\.)+(?:{_TLD})\b(?::\d+)?(?![\w.(])", "<host>"),
        (r"(?<![\w.~])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w.+@~%=,#-]+(?:[/\\][\w.+@~%=,#-]*)*", "<path>"),
        (r"\b(?=[a-fA-F]*\d)[0-9a-fA-F]{7,}\b", "#"),
        (r"\btmp\w{5,}", "#"),
        (r"(?<!\w)[bruf]{0,2}(?:'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`)(?!\w)", QUOTED),
        (r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?", "#"),
    )
]
_NUMBERS = re.compile(r"[+-]?#(?:[\s,;:.x/+-]*#)*")
_ONLY_QUOTED = re.compile(rf"\s*[\w.]*:?\s*(?:{QUOTED}\s*)+")
