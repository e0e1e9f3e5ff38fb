"""A request while it is served: what logs and figures will say about it."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.types import Message, Scope, Send

from qchive.api.endpoint import Endpoint

if TYPE_CHECKING:
    from qchive.server.access import Caller
    from qchive.server.watch import Watch

LONGEST = 8192
"""Bytes that are kept of a body."""

ID = re.compile(rb"[\w.:-]{1,100}")
"""What is taken for a request's id; anything else gets one of ours."""

_process = secrets.token_hex(4)
_numbers = count(1)


class Seen:
    """One request."""

    __slots__ = (
        "_send",
        "began",
        "body",
        "caller",
        "endpoint",
        "received",
        "request_id",
        "scope",
        "sent",
        "status",
        "watch",
    )

    def __init__(self, scope: Scope, send: Send, watch: Watch) -> None:
        self.began = perf_counter()
        self.scope = scope
        self.watch = watch
        self.endpoint: Endpoint | None = None
        """What was asked for, if there is such a thing."""
        self.caller: Caller | None = None
        """Who asks, as soon as that is known."""
        self.body = b""
        """Its beginning as it came, if it was read."""
        self.received = 0
        """Bytes of it."""
        self.status = 0
        self.sent = 0
        """Bytes of the answer's body."""
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self.request_id = given if ID.fullmatch(given) else b"%b-%x" % (_process.encode(), next(_numbers))
        self._send = send

    def read(self, body: bytes) -> None:
        """Keep the beginning of the body, and how long it is: all of it would be held until the answer is there."""
        self.received = len(body)
        self.body = body[:LONGEST]

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on; its head gets the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.request_id)]
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)

    @property
    def address(self) -> str | None:
        """The network address of whoever asks."""
        client = self.scope.get("client")
        return client[0] if client else None

    def header(self, name: bytes) -> str:
        """The value of a header; empty if it was not sent."""
        headers: Any = self.scope["headers"]
        return next((value.decode("latin-1") for key, value in headers if key == name), "")


NOW: ContextVar[Seen | None] = ContextVar("request", default=None)
"""The request that is being served here, if one is."""


async def catch_up() -> None:
    """Have everything written that this process has noted so far: whoever looks at it sees what they just did."""
    seen = NOW.get()
    if seen is not None:
        await seen.watch.catch_up()
