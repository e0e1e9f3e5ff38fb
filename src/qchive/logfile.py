"""The log files of our own child processes."""

from __future__ import annotations

import os
from pathlib import Path

_LARGEST = 20_000_000


def open_log(path: Path) -> int:
    """A descriptor that appends to a log. A log grown large is set aside first (`.1`), so two of them exist at most."""
    if path.exists() and path.stat().st_size > _LARGEST:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def tail(path: Path, since: int = 0, lines: int = 20) -> str:
    """The last lines of a log, none from before the byte `since`; empty where there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since, size - 100_000))
            said = file.read()
    except FileNotFoundError:
        return ""
    return "\n".join(said.decode(errors="replace").strip().splitlines()[-lines:])
