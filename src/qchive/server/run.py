"""Running one server process."""

from __future__ import annotations

import gc
import os
import socket
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from qchive.server.app import create_app
from qchive.server.protocol import protocol
from qchive.server.settings import Settings

GARBAGE = 20_000
"""Objects made before the collector looks for those that refer to each other."""


class _Server(uvicorn.Server):
    """Says when it answers."""

    ready: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.ready is not None:
            with suppress(BrokenPipeError):  # nobody waits for it
                os.write(self.ready, b"!")
            os.close(self.ready)


def serve(conninfo: str, settings: Settings, listening: socket.socket | None = None, ready: int | None = None) -> None:
    """Answer requests until SIGINT or SIGTERM. `listening`: a socket that is already bound, so that clients can
    connect while this process is being replaced. `ready`: where to write a byte as soon as this process answers.

    Raises:
        NotLoopback: the address could be reached from other machines.
    """
    settings.check()
    server = _Server(config(create_app(conninfo, settings), settings))
    server.ready = ready
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
        http=protocol(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.shutdown_timeout,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
