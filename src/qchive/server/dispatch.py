"""Who answers a request: found by the segments of its address, in a few look-ups however many addresses there are.

Starlette tries the pattern of one route after the other, which costs more than most answers do. It still has the last
word: what is not found here (other methods, unknown addresses, pages for people) goes there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from starlette.convertors import IntegerConvertor
from starlette.routing import Route


class End(NamedTuple):
    """Where an address ends: what answers there, and the names and converters of the parts that vary."""

    serve: Callable[..., Any]
    parts: tuple[tuple[str, Callable[[str], Any]], ...]


class Addresses:
    """The addresses of routes, as a tree of their segments. Those with a part that may hold `/` are left out."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._named: dict[str, Addresses] = {}
        self._number: Addresses | None = None
        self._text: Addresses | None = None
        self._ends: dict[str, End] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        kinds = route.param_convertors
        if any(kind.regex == ".*" for kind in kinds.values()):
            return
        at = self
        for segment in route.path_format.split("/"):
            if not segment.startswith("{"):
                at = at._named.setdefault(segment, Addresses())
            elif isinstance(kinds[segment[1:-1]], IntegerConvertor):
                at._number = at = at._number or Addresses()
            else:
                at._text = at = at._text or Addresses()
        parts = tuple((name, kind.convert) for name, kind in kinds.items())
        at._ends |= dict.fromkeys(route.methods or (), End(route.endpoint, parts))

    def find(self, method: str, path: str) -> tuple[Callable[..., Any], dict[str, Any]] | None:
        """What answers there, and the parts of the address that vary; None where Starlette has to look."""
        given: list[str] = []
        at = self._walk(path.split("/"), 0, given)
        end = None if at is None else at._ends.get(method)
        if end is None:
            return None
        return end.serve, {name: convert(text) for (name, convert), text in zip(end.parts, given, strict=True)}

    def _walk(self, segments: Sequence[str], n: int, given: list[str]) -> Addresses | None:
        """The place behind the segments from the nth on. What is spelt out goes before numbers, these before text."""
        if n == len(segments):
            return self if self._ends else None
        segment = segments[n]
        if (named := self._named.get(segment)) and (found := named._walk(segments, n + 1, given)):
            return found
        is_number = segment.isascii() and segment.isdigit()
        for varies in (self._number if is_number else None, self._text if segment else None):
            if varies is not None:
                given.append(segment)
                if found := varies._walk(segments, n + 1, given):
                    return found
                given.pop()
        return None
