"""What a handler is given beside the request."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from qchive.api.endpoint import Endpoint
from qchive.db.pool import Database
from qchive.errors import LimitExceeded
from qchive.kinds import Kind
from qchive.server.access import Caller
from qchive.server.gate import Gate
from qchive.server.marks import Marks
from qchive.server.settings import Settings
from qchive.server.tally import Tally
from qchive.server.visit import Visit


class Context(msgspec.Struct, frozen=True):
    """The server's parts, who asks, and for which kind of record."""

    db: Database
    settings: Settings
    kinds: Mapping[str, Kind]
    caller: Caller
    endpoint: Endpoint
    marks: Marks
    tally: Tally
    gate: Gate
    visit: Visit

    @property
    def kind(self) -> Kind | None:
        """The kind in the address of this request, if there is one."""
        return self.endpoint.kind

    @property
    def the_kind(self) -> Kind:
        """The kind in the address of this request."""
        assert self.kind is not None
        return self.kind

    def at_most(self, n: int, limit: str, what: str) -> None:
        """Refuse more items than one request may carry.

        Raises:
            LimitExceeded: it carries more.
        """
        most = self.settings.limits[limit]
        if n > most:
            raise LimitExceeded(f"Cannot {what.format(n=n)} - limit is {most}", limit=most, got=n)

    def page(self, limit: int | None, name: str) -> int:
        """How many items a page holds: what was asked for, at most the server's limit."""
        most = self.settings.limits[name]
        return most if limit is None else min(limit, most)
