"""Where a range of waiting tasks begins, remembered for a moment.

Claimed records leave dead entries at the front of the queue's index. Usually these are soon gone, but not while
somebody holds an old snapshot: during a dump every claim would walk over all that was claimed since it began. So a
claim remembers the place of the best task it saw, and those of the next moment start looking there.

What comes to wait before the mark meanwhile (a lost task, one that was reset, one added by a slow transaction) is seen
when the moment is over, or when too little is found behind the mark: then a claim looks from the very beginning again.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from datetime import datetime

import msgspec

MOMENT = 1.0
"""Seconds."""
MOST = 1000
"""Different offers remembered at a time."""


class Candidate(msgspec.Struct, frozen=True):
    """A waiting record that a manager could run, and the range it was found in."""

    id: int
    tag: str
    requirement_id: int
    priority: int
    sort_time: datetime


class Marks:
    """The marks of one server process, by what managers offer."""

    def __init__(self) -> None:
        self._marks: dict[Hashable, tuple[float, Candidate]] = {}

    def get(self, offer: Hashable) -> Candidate | None:
        """The place before which nothing waited a moment ago, if that is known."""
        until, mark = self._marks.get(offer, (0.0, None))
        return mark if time.monotonic() < until else None

    def set(self, offer: Hashable, found: Sequence[Candidate]) -> None:
        """Remember what was found from the very beginning; only if all of it lies in one range can one mark say it."""
        self._marks.pop(offer, None)
        if len({(one.tag, one.requirement_id, one.priority) for one in found}) == 1:
            if len(self._marks) >= MOST:
                self._marks.clear()
            self._marks[offer] = (time.monotonic() + MOMENT, found[0])
