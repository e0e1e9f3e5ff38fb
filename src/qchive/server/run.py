"""Running one server process."""

from __future__ import annotations

import gc
import socket
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from qchive.server.app import create_app
from qchive.server.settings import Settings

GARBAGE = 20_000
"""Objects made before the collector looks for those that refer to each other."""


class _Protocol(HttpToolsProtocol):
    """HTTP, with a way to hang up without an answer (see `bind._hang_up`)."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions = cast(dict[str, Any], self.scope.setdefault("extensions", {}))
        extensions["qchive.abort"] = self.transport.abort


def serve(conninfo: str, settings: Settings, listening: socket.socket | None = None) -> None:
    """Answer requests until SIGINT or SIGTERM. `listening`: a socket that is already bound, so that clients can
    connect while this process is being replaced.

    Raises:
        NotLoopback: the address could be reached from other machines.
    """
    settings.check()
    server = uvicorn.Server(config(create_app(conninfo, settings), settings))
    # Modules, routes and types stay as long as the process does. Requests leave next to nothing that refers to itself,
    # so the collector need not come every few hundred objects, nor look at all of these each time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    server.run(sockets=[listening] if listening else None)


def config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How the HTTP server is run."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=20,
        server_header=False,
        proxy_headers=False,
    )
