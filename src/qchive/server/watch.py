"""Everything that is noted of the requests of one server process."""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.types import Scope, Send

from qchive.db.pool import Database
from qchive.logged import request_id
from qchive.server import access_log, error_log
from qchive.server.access_log import Access, access
from qchive.server.faults import Fault
from qchive.server.journal import Journal
from qchive.server.seen import NOW, Seen
from qchive.server.settings import Settings
from qchive.server.tally import Tally

log = logging.getLogger("qchive.server.requests")

QUIET = {"/health", "/ready", "/metrics"}
"""Addresses that machines ask for all the time: not in the log of accesses."""
OTHER = "other"
"""How addresses are counted that are not declared: there are as many as anybody likes to make up."""


class Watch:
    """The watcher of one server process."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.tally = Tally()
        self.hide_errors = settings.hide_internal_errors
        self.errors: Journal[Fault] = Journal("the log of errors", db, error_log.write)
        self.accesses: Journal[Access] | None = None
        if settings.log_access:
            self.accesses = Journal("the log of accesses", db, access_log.write)

    def begin(self) -> None:
        """From now on, write down what is noted."""
        for journal in (self.errors, self.accesses):
            if journal is not None:
                journal.begin()

    async def end(self) -> None:
        """Write down what is left."""
        for journal in (self.accesses, self.errors):
            if journal is not None:
                await journal.end()

    async def catch_up(self) -> None:
        """Write down what has been noted so far."""
        for journal in (self.accesses, self.errors):
            if journal is not None:
                await journal.catch_up()

    def see(self, scope: Scope, send: Send) -> Seen:
        """A request comes in."""
        seen = Seen(scope, send, self)
        NOW.set(seen)
        request_id.set(seen.request_id.decode())
        return seen

    def note(self, seen: Seen) -> None:
        """A request was answered."""
        seconds = perf_counter() - seen.began
        endpoint = seen.endpoint
        if endpoint is not None:
            self.tally.served(endpoint.path, endpoint.method, seen.status, seconds)
        else:
            self.tally.served(OTHER, OTHER, seen.status, seconds)
        if self.accesses is not None and seen.scope["path"] not in QUIET:
            self.accesses.add(access(seen, seconds))
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s: %d in %.4f s", seen.scope["method"], seen.scope["path"], seen.status, seconds)
