"""What stands at the bare address, and at every other one that is none of ours: as the administrator says."""

from __future__ import annotations

import os

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from qchive.server.access_log import HOME, module
from qchive.server.settings import Settings

OURS = "/api/docs"
"""People who type the bare address want to see something."""


class _Folder(StaticFiles):
    """Files of the administrator's, where no client of the API looks: those expect JSON."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD") or module(scope["path"]) != HOME:
            raise HTTPException(404)
        await super().__call__(scope, receive, send)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer


def homepage(settings: Settings) -> tuple[BaseRoute, ASGIApp | None]:
    """The route of the bare address, and what answers at addresses that nothing else does."""
    if settings.homepage_directory is not None:
        folder = _Folder(directory=settings.homepage_directory, html=True)
        return Route("/", folder, methods=["GET"]), folder
    elsewhere = settings.homepage_redirect_url or OURS
    return Route("/", RedirectResponse(elsewhere, status_code=302), methods=["GET"]), None
