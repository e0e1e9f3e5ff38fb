"""Whom an action on records reaches: parents, children, or both, as `status.Spread` says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from qchive.db import statements
from qchive.db.pool import Connection
from qchive.status import Spread, Status


class Family:
    """Records, and their relatives as far as an action may reach."""

    def __init__(self, ids: Iterable[int], spread: Spread) -> None:
        self._up = spread in (Spread.parents, Spread.family)
        self._down = spread in (Spread.children, Spread.family)
        self._spares = spread is Spread.family
        self._parents: dict[int, set[int]] = {}
        self._children: dict[int, set[int]] = {}
        self.top = set(ids)
        """The records themselves and, upwards, all their parents."""
        self.all = set(self.top)
        """These, and all children of them."""

    async def look(self, conn: Connection) -> None:
        """Read the links: one statement for each generation, whatever the number of records."""
        asked_up: set[int] = set()
        asked_down: set[int] = set()
        while True:
            up = ((self.all if self._spares else self.top) if self._up else set()) - asked_up
            down = (self.all if self._down else set()) - asked_down
            if not up and not down:
                return
            asked_up |= up
            asked_down |= down
            for parent, child in await statements.tuples(conn, "records/links", up=list(up), down=list(down)):
                self._parents.setdefault(child, set()).add(parent)
                self._children.setdefault(parent, set()).add(child)
            if self._up:
                self.top = _closure(self.top, self._parents)
            self.all |= self.top
            if self._down:
                self.all = _closure(self.all, self._children)

    @property
    def outside(self) -> set[int]:
        """Further parents of the children: whether they still need them decides who is reached."""
        if not self._spares:
            return set()
        return {p for child in self.all - self.top for p in self._parents.get(child, ())} - self.all

    def reached(self, status: Mapping[int, Status], living: Collection[Status]) -> set[int]:
        """Those that the action reaches. A child is spared if a parent outside, whose status is one of the `living`
        (the action would apply to it), still needs it; and so are its own children."""
        spared: set[int] = set()
        todo = [p for p in self.outside if status.get(p) in living]
        while todo:
            needed = self._children.get(todo.pop(), set()) & self.all - self.top - spared
            spared |= needed
            todo += [child for child in needed if status.get(child) in living]
        return self.all - spared


def _closure(start: set[int], links: Mapping[int, set[int]]) -> set[int]:
    found, todo = set(start), list(start)
    while todo:
        new = links.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found
