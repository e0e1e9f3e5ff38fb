"""A real process that knows the toys, for tests: `python -m tests.toy_process server CONNINFO FD` answers requests at a
socket it is given, `python -m tests.toy_process upkeep CONNINFO` keeps up."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from pathlib import Path

import uvicorn

from qchive.server.app import create_app
from qchive.server.run import config
from qchive.server.settings import Settings
from qchive.server.upkeep.run import keep_up
from tests.toys import TOYS


def start_server(conninfo: str, listening: socket.socket) -> subprocess.Popen[bytes]:
    """One more that answers at this socket; requests wait until it does."""
    fd = listening.fileno()
    return _start("server", conninfo, str(fd), pass_fds=[fd])


def start_upkeep(conninfo: str) -> subprocess.Popen[bytes]:
    """One more that keeps up."""
    return _start("upkeep", conninfo)


def _start(*argv: str, pass_fds: list[int] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.toy_process", *argv]
    return subprocess.Popen(command, cwd=Path(__file__).parent.parent, pass_fds=pass_fds or [])


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    what, dsn, *more = sys.argv[1:]
    if what == "server":
        app = create_app(dsn, Settings(), kinds=TOYS)
        uvicorn.Server(config(app, Settings())).run(sockets=[socket.socket(fileno=int(more[0]))])
    else:
        keep_up(dsn, Settings(), kinds=TOYS)
