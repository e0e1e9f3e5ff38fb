"""From endpoint rows to routes: decode, check the permission, call the handler, encode; errors become replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from qchive import wire
from qchive.api.endpoint import Endpoint
from qchive.errors import NoSuchPath, QCHiveError, WrongMethod
from qchive.server import access
from qchive.server.body import accepted, read_body, read_path, read_query, read_upload
from qchive.server.context import Context
from qchive.server.faults import fault
from qchive.server.visit import Visit

Handler = Callable[..., Awaitable[Any]]

LOGIN_BODY = 1 << 16
"""Bytes that are read of whoever is about to log in, at most."""

STRANGERS_BODY = 1 << 22
"""Bytes that are read of whoever has not logged in, at most: what JSON says in one of them may need fifty in memory."""


def reply(value: Any, content_type: str = wire.JSON, status: int = 200) -> Response:
    """An answer. Its content type carries no charset: existing clients compare it literally."""
    return Response(wire.encode(value, content_type), status, media_type=content_type)


def refusal(error: QCHiveError) -> Response:
    """An error answer, always JSON."""
    answer = reply(error.reply(), status=error.http)
    if "retry_after" in error.fields:
        answer.headers["Retry-After"] = str(error.fields["retry_after"])
    return answer


def routes(rows: tuple[Endpoint, ...], handlers: Mapping[str, Handler]) -> list[Route]:
    """One route per address, with all its methods."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for row in rows:
        by_path.setdefault(row.path, {})[row.method] = row
    return [_route(path, by_method, handlers) for path, by_method in by_path.items()]


def _route(path: str, by_method: Mapping[str, Endpoint], handlers: Mapping[str, Handler]) -> Route:
    async def serve(request: Request) -> Response:
        endpoint = by_method[request.method if request.method != "HEAD" else "GET"]
        request.scope["qchive.seen"].endpoint = endpoint
        try:
            return await _answer(request, endpoint, handlers[endpoint.name])
        except ClientDisconnect:
            # Nobody is left to read an answer; what was half sent has changed nothing.
            return Response(status_code=499)
        except Exception as error:
            answer = await on_error(request, error)
            if answer.status_code >= 500:
                hang_up(request.scope)
            return answer

    return Route(path, serve, methods=list(by_method))


async def _answer(request: Request, endpoint: Endpoint, handler: Handler) -> Response:
    content_type = accepted(request.headers.get("accept"))
    app = request.app.state
    visit, most = Visit(request), app.settings.max_body
    if endpoint.path.startswith("/auth/"):
        caller, most = access.ANYBODY, LOGIN_BODY
    else:
        caller = await app.gate.identify(visit)
        visit.known(caller)
        access.admit(caller, endpoint, app.settings)
        most = min(most, STRANGERS_BODY) if caller is access.ANYBODY else most
    ctx = Context(app.db, app.settings, app.kinds, caller, endpoint, app.marks, app.watch.tally, app.gate, visit)
    given: list[Any] = []
    if endpoint.upload:
        given += await read_upload(request, endpoint, most)
    elif endpoint.body is not None:
        given.append(await read_body(request, endpoint, most))
    if endpoint.query is not None:
        given.append(read_query(request, endpoint.query))
    answer = reply(await handler(ctx, *given, **read_path(request)), content_type)
    return visit.mark(answer, app.settings)


def hang_up(scope: Scope) -> None:
    """Leave a compute manager without an answer: an error status would end an unmodified one, and with it hours of
    work. Like this it keeps its results and tries again."""
    abort = scope.get("extensions", {}).get("qchive.abort")
    if abort is not None and scope["path"].startswith("/compute/"):
        abort()


async def on_error(request: Request, error: Exception) -> Response:
    """Any error as an answer; what we did not foresee is logged under an id and not shown."""
    if isinstance(error, QCHiveError):
        return refusal(error)
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return refusal(NoSuchPath(f"404 Not Found: there is nothing at {request.url.path}"))
        if error.status_code == 405:
            return refusal(WrongMethod(f"405 Method Not Allowed: {request.method} {request.url.path}"))
        return reply({"msg": str(error.detail), "code": "http"}, status=error.status_code)
    return refusal(fault(error, f"{request.method} {request.url.path}"))
