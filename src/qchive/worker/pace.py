"""When to ask the server for how much: pauses that grow, and a store of tasks that fits how long they take."""

from __future__ import annotations

import math
import random
import threading
import time

_AHEAD = 0.5
"""Seconds of work to have in store, so that no process waits while the server is asked."""
_MOST_AHEAD = 16
"""Tasks in store per process, at most: the next ones may take far longer than the last, and nobody else gets them."""
_SHORT = 1.0
"""Of tasks that take longer than this, none is stored."""
_WEIGHT = 0.2


class Store:
    """How many tasks to hold beyond those that run, learnt from how long tasks took; for several threads."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._guard = threading.Lock()
        self._mean: float | None = None

    def took(self, seconds: float) -> None:
        """A task took so long."""
        with self._guard:
            old = self._mean
            # A long task counts at once: what is stored behind long ones is what hurts others.
            self._mean = seconds if old is None or seconds > _SHORT else old + _WEIGHT * (seconds - old)

    def ahead(self) -> int:
        """Tasks to have in store."""
        if self._mean is None or self._mean > _SHORT:
            return 0
        return self._slots * min(_MOST_AHEAD, math.ceil(_AHEAD / max(self._mean, 1e-4)))

    def wanted(self, held: int) -> int:
        """Tasks to ask for when so many are held; 0 while asking would be for a few only and nothing idles."""
        ahead = self.ahead()
        if held >= self._slots + ahead // 2:
            return 0
        return self._slots + ahead - held


class Pause:
    """A waiting time that doubles each time it is taken, give or take a tenth, until something good happens."""

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest, self._longest = shortest, max(shortest, longest)
        self._next = shortest
        self._until = 0.0

    def take(self) -> float:
        """Begin the next pause; gives its length in seconds."""
        length = self._next * random.uniform(0.9, 1.1)
        self._next = min(self._longest, 2 * self._next)
        self._until = time.monotonic() + length
        return length

    def end(self) -> None:
        """Something good has happened: no pause now, and the next one is short."""
        self._next, self._until = self._shortest, 0.0

    def left(self) -> float:
        """Seconds until this pause is over."""
        return max(0.0, self._until - time.monotonic())
