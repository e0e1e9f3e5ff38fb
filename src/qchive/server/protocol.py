"""HTTP on one connection, for clients that are slow, too many, or still there when a process is to end."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from qchive.errors import Overloaded
from qchive.server.bind import hang_up, refusal
from qchive.server.settings import Settings

_PART = 64 << 10
"""Bytes of a body that have to come within each `request_timeout`."""
_LINGER = 0.5
"""Seconds that a process which ends leaves to idle connections, whose next request may be on its way."""


def protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """The protocol with the limits of these settings."""

    class Limited(_Protocol):
        timeout = float(settings.request_timeout)
        most = settings.max_connections

    return Limited


class _Protocol(HttpToolsProtocol):
    """HTTP with limits, and with a way to hang up without an answer (see `bind.hang_up`)."""

    timeout: float
    most: int
    _clock: asyncio.TimerHandle | None = None
    """Runs while the client is to send something."""
    _came = 0
    """Bytes of the body since the clock was started."""
    _ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_clock()
        extensions = cast(dict[str, Any], self.scope.setdefault("extensions", {}))
        extensions["qchive.abort"] = self.transport.abort

    def on_headers_complete(self) -> None:
        self._start_clock()
        self.app = self.config.loaded_app if len(self.connections) <= self.most else _overloaded
        super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._came += len(body)
        if self._came >= _PART:
            self._start_clock()

    def on_message_complete(self) -> None:
        self._stop_clock()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Finish what is there; then, or soon, close."""
        self._ending = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_LINGER, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _start_clock(self) -> None:
        self._stop_clock()
        self._came = 0
        self._clock = self.loop.call_later(self.timeout, self._too_slow)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _too_slow(self) -> None:
        if self.flow.read_paused:  # then it is us who are slow
            self._start_clock()
        else:
            self.transport.abort()


async def _overloaded(scope: Scope, receive: Receive, send: Send) -> None:
    answer = refusal(Overloaded("The server has as many connections as it takes; try again soon", retry_after=2))
    answer.headers["Connection"] = "close"
    hang_up(scope)
    await answer(scope, receive, send)
