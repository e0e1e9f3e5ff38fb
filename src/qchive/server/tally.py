"""What this process counts while it serves: for the price of a look-up and a few additions per request."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Durations, in seconds, up to which requests are counted apart."""


class Durations:
    """How long requests took: how many up to each bound, and beyond the last."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Tally:
    """Counts since this process started."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], Durations] = {}
        """By address as declared, method and status; what is not declared counts as one address."""
        self.claims = 0
        self.claimed = 0
        """Tasks that were handed out."""
        self.accepted = 0
        """Results that were taken."""
        self.rejected = 0

    def served(self, address: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = (address, method, status)
        durations = self.requests.get(key)
        if durations is None:
            durations = self.requests[key] = Durations()
        durations.add(seconds)
