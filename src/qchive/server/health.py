"""Whether this process lives and can do its work, for what starts and balances processes; and figures of its work."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qchive import wire
from qchive.db import statements
from qchive.db.migrate import VERSION
from qchive.db.pool import Connection
from qchive.errors import Forbidden, Unavailable

PATIENCE = 3.0
"""Seconds that the database has to answer."""


async def health(request: Request) -> Response:
    """The process lives and serves; nothing else is looked at."""
    return _said(200, {"alive": True})


async def ready(request: Request) -> Response:
    """The database answers, and has the schema of this release."""

    async def work(conn: Connection) -> list[str]:
        return await statements.column(conn, "settings/get", key="schema")

    try:
        async with asyncio.timeout(PATIENCE):
            found = await request.app.state.db.read(work)
    except (TimeoutError, Unavailable):
        return _said(503, {"ready": False, "why": "the database does not answer"})
    schema = msgspec.json.decode(found[0]) if found else 0
    if schema != VERSION:
        return _said(503, {"ready": False, "why": f"the database has schema {schema}, this release needs {VERSION}"})
    return _said(200, {"ready": True, "schema": schema})


async def metrics(request: Request) -> Response:
    """Figures for Prometheus, for this machine and for the networks that the settings name."""
    from qchive.server import metrics  # its library is loaded when somebody wants it

    state, headers = request.app.state, request.headers
    passed_on = any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
    address = request.client.host if request.client else None
    if not metrics.allowed(address, passed_on, state.settings.metrics_from):
        why = "Forbidden: figures are for this machine and for the networks in metrics_from"
        return _said(403, Forbidden(why).reply())
    return Response(await metrics.figures(state.db, state.watch), media_type=metrics.FORMAT)


def _said(status: int, what: dict[str, object]) -> Response:
    return Response(wire.encode(what, wire.JSON), status, media_type=wire.JSON)


ROUTES = [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]
