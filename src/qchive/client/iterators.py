"""Results of queries, fetched page by page while they are looped over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class QueryIterator(ABC, Generic[T]):
    """Loops once over everything a query finds, newest first; `reset()` asks again from the start.

    The first page is asked for at once, so that a wrong query is refused where it is made.
    """

    def __init__(self, limit: int | None, page: int) -> None:
        self._limit = limit
        self._page = max(page, 1)
        self.reset()

    def reset(self) -> None:
        """Ask again, from the newest."""
        self._left = self._limit
        self._cursor: int | None = None
        self._more = True
        self._found: Iterator[T] = iter(())
        self._next_page()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while True:
            for item in self._found:
                return item
            if not self._more:
                raise StopIteration
            self._next_page()

    def _next_page(self) -> None:
        size = self._page if self._left is None else min(self._left, self._page)
        n, self._cursor, self._found = self._ask(size, self._cursor) if size else (0, None, iter(()))
        if self._left is not None:
            self._left -= n
        self._more = n > 0 and self._left != 0

    @abstractmethod
    def _ask(self, size: int, cursor: int | None) -> tuple[int, int | None, Iterator[T]]:
        """How many were found below the cursor, the next cursor, and the items."""


class IdQueryIterator(QueryIterator[T]):
    """A query that answers ids, and what is behind them. What was removed between the two is passed over."""

    def __init__(
        self,
        ids: Callable[[int, int | None], list[int]],
        fetch: Callable[[list[int]], Iterator[T | None]],
        limit: int | None,
        page: int,
    ) -> None:
        self._ids, self._fetch = ids, fetch
        super().__init__(limit, page)

    def _ask(self, size: int, cursor: int | None) -> tuple[int, int | None, Iterator[T]]:
        ids = self._ids(size, cursor)
        items = (item for item in self._fetch(ids) if item is not None)
        return len(ids), ids[-1] if ids else None, items


class RecordQueryIterator(IdQueryIterator[Any]):
    """Records that fit a query."""


class MoleculeQueryIterator(IdQueryIterator[Any]):
    """Molecules that fit a query."""


class WholeQueryIterator(QueryIterator[Any]):
    """A query that answers whole objects, which know their ids."""

    def __init__(self, find: Callable[[int, int | None], list[Any]], limit: int | None, page: int) -> None:
        self._find = find
        super().__init__(limit, page)

    def _ask(self, size: int, cursor: int | None) -> tuple[int, int | None, Iterator[Any]]:
        found = self._find(size, cursor)
        return len(found), found[-1].id if found else None, iter(found)


class ManagerQueryIterator(WholeQueryIterator):
    """Compute managers that fit a query."""


class InternalJobQueryIterator(WholeQueryIterator):
    """Internal jobs that fit a query."""


class AccessLogQueryIterator(WholeQueryIterator):
    """Noted requests that fit a query."""


class ErrorLogQueryIterator(WholeQueryIterator):
    """Noted errors that fit a query."""
