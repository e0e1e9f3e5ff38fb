"""Compute managers of the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qchive.api import managers
from qchive.api.managers import Manager
from qchive.client.given import as_list, filters, is_one, without_nothing
from qchive.client.iterators import ManagerQueryIterator
from qchive.client.session import Session


class ManagerCalls(Session):
    """Look at compute managers: who they are, what they can run, when they last showed signs of life."""

    def get_managers(self, names: str | Iterable[str], missing_ok: bool = False) -> Any:
        """The manager of this name, or the list of those of these names; None for missing ones with `missing_ok`.

        Raises:
            NotFound: one does not exist.
        """

        def ask(some: list[str]) -> list[Manager | None]:
            body = without_nothing(managers.ManagersGet(names=some, missing_ok=missing_ok))
            answer: list[Manager | None] = self.connection.ask(managers.BULK_GET, body=body)
            return answer

        found = list(self.in_chunks(as_list(names), self.api_limits["get_managers"], ask))
        return found[0] if is_one(names) else found

    def query_managers(self, *, limit: int | None = None, **given: Any) -> ManagerQueryIterator:
        """Managers that fit, newest first. Filters, one or several values each: `manager_id`, `name`, `cluster`,
        `hostname`, `status`; and `modified_before`, `modified_after` (last sign of life).

        Raises:
            TypeError: a filter that does not exist.
        """
        wanted = filters(managers.ManagerQuery, given)

        def page(size: int, cursor: int | None) -> list[Manager]:
            body = without_nothing(managers.ManagerQuery(**wanted, limit=size, cursor=cursor))
            found: list[Manager] = self.connection.ask(managers.QUERY, body=body)
            return found

        return ManagerQueryIterator(page, limit, self.api_limits["get_managers"] // 4)

    def query_active_managers(self, compute_tag: str | Iterable[str], programs: Any) -> list[str]:
        """Names of active managers that would run a task of this tag that needs these programs (names, or a mapping
        of name → versions)."""
        wanted = dict(programs) if isinstance(programs, Mapping) else {name: [] for name in as_list(programs)}
        body = without_nothing(managers.ActiveQuery(programs=wanted, compute_tag=as_list(compute_tag)))
        names: list[str] = self.connection.ask(managers.QUERY_ACTIVE, body=body)
        return names
