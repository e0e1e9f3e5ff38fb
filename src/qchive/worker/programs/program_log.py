"""What a program writes: kept for its result, and passed on at once, in case no result comes of it.

A worker gathers what its processes print, and stores it with tasks that fail. Programs that run inside Python write
into memory instead, which is gone with an exception, and with a process that is stopped; so in a worker their output
goes both ways.
"""

from __future__ import annotations

import io
import sys
from typing import TextIO

_passed_on = False


def pass_on() -> None:
    """From now on, in this process, logs are also printed while they are written."""
    global _passed_on
    _passed_on = True


class ProgramLog(io.StringIO):
    """Text in memory; in a worker also on the stream that was `sys.stdout`, or given, when the log was opened."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._also = (stream or sys.stdout) if _passed_on else None

    def write(self, text: str, /) -> int:
        """Write to both."""
        if self._also is not None:
            self._also.write(text)
        return super().write(text)

    def flush(self) -> None:
        """See that it is there even if this process is stopped right now."""
        if self._also is not None:
            self._also.flush()

    def line(self, text: str) -> None:
        """Write one line, and see that it is there."""
        self.write(f"{text}\n")
        self.flush()
