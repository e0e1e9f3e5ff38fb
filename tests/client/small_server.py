"""A small real HTTP server in a thread, answering what a test says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from qchive import wire

Reply = tuple[int, dict[str, str], bytes] | None
Asked = list[tuple[str, str, dict[str, str], bytes]]


@contextmanager
def server(answer: Callable[[int], Reply]) -> Iterator[tuple[str, Asked]]:
    """A server that answers its n-th request with `answer(n)`; None hangs up without a word."""
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, dict(self.headers), body))
            reply = answer(len(asked))
            if reply is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, content = reply
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, *args: Any) -> None:
            """Silence."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", asked
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def as_json(value: Any, status: int = 200, content_type: str = wire.JSON) -> Reply:
    return status, {"Content-Type": content_type}, json.dumps(value).encode()


INFORMATION = {
    "name": "small",
    "version": "0.71",
    "api_limits": {"get_records": 8, "add_records": 4, "get_molecules": 8, "add_molecules": 4, "get_managers": 8},
    "manager_heartbeat_frequency": 60,
    "manager_heartbeat_max_missed": 4,
    "motd": "Down on Friday",
}
