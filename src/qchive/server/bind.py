"""From endpoint rows to routes: decode, check the permission, call the handler, encode; errors become replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from qchive import wire
from qchive.api.endpoint import Endpoint
from qchive.errors import NoSuchPath, QCHiveError, WrongMethod
from qchive.server import access
from qchive.server.body import accepted, read_body, read_path, read_query, read_upload
from qchive.server.context import Context
from qchive.server.faults import fault

Handler = Callable[..., Awaitable[Any]]
Identify = Callable[[Request], Awaitable[access.Caller]]


async def nobody(request: Request) -> access.Caller:
    """Without accounts everybody is the administrator."""
    return access.Caller()


def reply(value: Any, content_type: str = wire.JSON, status: int = 200) -> Response:
    """An answer. Its content type carries no charset: existing clients compare it literally."""
    return Response(wire.encode(value, content_type), status, media_type=content_type)


def refusal(error: QCHiveError) -> Response:
    """An error answer, always JSON."""
    return reply(error.reply(), status=error.http)


def routes(rows: tuple[Endpoint, ...], handlers: Mapping[str, Handler], identify: Identify) -> list[Route]:
    """One route per address, with all its methods."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for row in rows:
        by_path.setdefault(row.path, {})[row.method] = row
    return [_route(path, by_method, handlers, identify) for path, by_method in by_path.items()]


def _route(path: str, by_method: Mapping[str, Endpoint], handlers: Mapping[str, Handler], identify: Identify) -> Route:
    async def serve(request: Request) -> Response:
        endpoint = by_method[request.method if request.method != "HEAD" else "GET"]
        request.scope["qchive.seen"].endpoint = endpoint
        try:
            return await _answer(request, endpoint, handlers[endpoint.name], identify)
        except ClientDisconnect:
            # Nobody is left to read an answer; what was half sent has changed nothing.
            return Response(status_code=499)
        except Exception as error:
            answer = await on_error(request, error)
            if answer.status_code >= 500:
                _hang_up(request)
            return answer

    return Route(path, serve, methods=list(by_method))


async def _answer(request: Request, endpoint: Endpoint, handler: Handler, identify: Identify) -> Response:
    content_type = accepted(request.headers.get("accept"))
    caller = request.scope["qchive.seen"].caller = await identify(request)
    access.check(caller, endpoint.may)
    app = request.app.state
    ctx = Context(app.db, app.settings, app.kinds, caller, endpoint, app.marks, app.watch.tally)
    given: list[Any] = []
    if endpoint.upload:
        given += await read_upload(request, endpoint, app.settings.max_body)
    elif endpoint.body is not None:
        given.append(await read_body(request, endpoint, app.settings.max_body))
    if endpoint.query is not None:
        given.append(read_query(request, endpoint.query))
    return reply(await handler(ctx, *given, **read_path(request)), content_type)


def _hang_up(request: Request) -> None:
    # An error status would end an unmodified compute manager, and with it hours of work. Without an answer it
    # keeps its results and tries again.
    abort = request.scope.get("extensions", {}).get("qchive.abort")
    if abort is not None and request.url.path.startswith("/compute/"):
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
