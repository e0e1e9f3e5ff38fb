"""What a library says through `logging` while one thread works with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_changing = threading.Lock()


class _Ear(logging.Filter):
    """Keeps what its own thread says, which then goes nowhere else; lets the others through."""

    def __init__(self, into: TextIO) -> None:
        super().__init__()
        self._into = into
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        self._into.write(record.getMessage())
        return False


@contextmanager
def heard(name: str, into: TextIO) -> Iterator[None]:
    """Write down what this thread sends to the logger of that name while the context lasts.

    Servers work in threads: redirecting stdout, or a handler, would take what other threads say too.
    """
    logger, ear = logging.getLogger(name), _Ear(into)
    with _changing:  # the list is replaced, not changed: other threads may be reading it
        logger.filters = [*logger.filters, ear]
    try:
        yield
    finally:
        with _changing:
            logger.filters = [one for one in logger.filters if one is not ear]
