"""A server of ours for tests: real HTTP on a free port, a database of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import uvicorn

from qchive.db.migrate import migrate
from qchive.kinds import KINDS, Kind
from qchive.server.app import create_app
from qchive.server.run import config
from qchive.server.settings import Settings


class Archive(NamedTuple):
    """A running server: where it answers, and the database behind it."""

    address: str
    conninfo: str
    settings: Settings


@contextmanager
def running(conninfo: str, settings: Settings | None = None, *, kinds: Mapping[str, Kind] = KINDS) -> Iterator[Archive]:
    """A server for a prepared database, in a thread of this process, while the context lasts."""
    settings = settings or Settings()
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            ready.set()

    app = create_app(conninfo, settings, kinds=kinds)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(config(app, settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        assert ready.wait(30), "the server did not start"
        try:
            yield Archive(f"http://127.0.0.1:{listening.getsockname()[1]}", conninfo, settings)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the server did not stop"


def prepared(databases: Any) -> Any:
    """A context with the conninfo of a fresh database that has the present schema."""
    return databases.fresh(databases.template("qchive_schema", migrate))
