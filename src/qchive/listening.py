"""The socket of a server, made once and shared by its processes, so that clients can connect while one is replaced."""

from __future__ import annotations

import errno
import socket

from qchive.errors import BadConfiguration, PortInUse

_BACKLOG = 2048
"""Connections that may wait while no process takes them."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any free one.

    Raises:
        PortInUse: somebody else listens there.
        BadConfiguration: there is no such address on this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        return socket.create_server(place[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise BadConfiguration(f"Cannot listen on {host}, port {port}: {error.strerror}") from None
        raise PortInUse(
            f"Port {port} is taken: another archive (see `qchive status`) or another program listens there. "
            "Choose another one with --port, or --port 0 for any free one.",
            port=port,
        ) from None
