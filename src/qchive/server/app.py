"""The one place where a server is wired: settings, pool, routes, errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from qchive.api import endpoints
from qchive.db.pool import Database
from qchive.errors import NoSuchPath, UnknownKind
from qchive.kinds import KINDS, Kind
from qchive.server import health, page, presence
from qchive.server.bind import on_error, refusal, routes
from qchive.server.dispatch import Addresses
from qchive.server.gate import Gate
from qchive.server.handlers import handlers
from qchive.server.homepage import homepage
from qchive.server.marks import Marks
from qchive.server.proxies import Proxies
from qchive.server.seen import Seen
from qchive.server.settings import Settings
from qchive.server.watch import Watch

log = logging.getLogger("qchive.server")

LONGEST = 2000
"""Characters of an address."""


def create_app(conninfo: str, settings: Settings, *, kinds: Mapping[str, Kind] = KINDS) -> ASGIApp:
    """A server for the database behind `conninfo`, which has the present schema."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        db = Database(conninfo, size=settings.database_pool, patience=settings.database_patience)
        await db.open()
        app.state.db = db
        app.state.watch = door.watch = Watch(db, settings)
        app.state.watch.begin()
        app.state.gate = Gate(db, settings)
        seen = asyncio.create_task(presence.keep(db))
        try:
            yield
        finally:
            seen.cancel()
            with suppress(asyncio.CancelledError):
                await seen
            await app.state.watch.end()
            await db.close()

    rows = endpoints(kinds)
    answering = routes(rows, handlers(rows))
    home, elsewhere = homepage(settings)
    app = Starlette(
        routes=[home, *page.ROUTES, *health.ROUTES, *answering, *_unknown_kinds()],
        lifespan=lifespan,
        exception_handlers={HTTPException: on_error, Exception: on_error},
    )
    app.router.redirect_slashes = False
    app.router.default = elsewhere or app.router.default
    app.state.settings = settings
    app.state.kinds = kinds
    app.state.endpoints = rows
    app.state.marks = Marks()
    door = _Door(app, Addresses(answering), Proxies(settings.trusted_proxies, settings.proxy_header))
    return door


def _unknown_kinds() -> list[Route]:
    """Addresses of record types that do not exist say so, instead of only not being found."""

    async def unknown(request: Request) -> Response:
        name = request.path_params["kind"]
        if name not in request.app.state.kinds:
            return refusal(UnknownKind(f"Cannot find handler for type {name}", kind=name))
        matches = (route.matches(request.scope)[0] for route in request.app.routes)
        raise HTTPException(405 if Match.PARTIAL in matches else 404)

    paths = ("/bulkCreate", "/bulkGet", "/query", "/{record_id:int}", "/{record_id:int}/{rest:path}")
    return [Route(f"/api/v1/records/{{kind}}{path}", unknown, methods=["GET", "POST"]) for path in paths]


class _Door:
    """What addresses may look like: existing clients ping `//api/v1/ping`, and none of ours is longer than `LONGEST`
    (numbers of thousands of digits cannot even be read). Those that are known are answered at once."""

    def __init__(self, app: Starlette, addresses: Addresses, proxies: Proxies) -> None:
        self.app = app
        self.addresses = addresses
        self.proxies = proxies
        self.watch: Watch
        """There as soon as the database is, so before the first request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.proxies.see_through(scope)
        seen = self.watch.see(scope, send)
        try:
            await self._serve(scope, receive, seen)
        finally:
            self.watch.note(seen)

    async def _serve(self, scope: Scope, receive: Receive, seen: Seen) -> None:
        path = scope["path"]
        if len(path) > LONGEST:
            await refusal(NoSuchPath("404 Not Found: the address is too long"))(scope, receive, seen.send)
            return
        if path.startswith("//"):
            scope["path"] = path = "/" + path.lstrip("/")
        scope["qchive.seen"] = seen
        found = self.addresses.find(scope["method"], path)
        if found is not None:
            serve, scope["path_params"] = found
            scope["app"] = self.app
            response = await serve(Request(scope, receive, seen.send))
            await response(scope, receive, seen.send)
            return
        await self.app(scope, receive, seen.send)
