"""Pages for people: the interactive description of the API, where one can log in to try it."""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

# Nothing from elsewhere, nothing inline; `data:` is for the small icons within the style sheet.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}


def _file(path: str, name: str) -> Route:
    async def serve(request: Request) -> Response:
        content = files("qchive.server").joinpath("web", name).read_bytes()
        headers = {"Content-Security-Policy": _CSP, "X-Content-Type-Options": "nosniff"}
        return Response(content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])

    return Route(path, serve)


ROUTES = [
    _file("/api/docs", "api.html"),
    *(_file(f"/api/docs/{name}", name) for name in ("api.js", "api.css", "swagger-ui-bundle.js", "swagger-ui.css")),
]
