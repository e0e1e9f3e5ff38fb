"""A server of ours for the peer's tests: `serve.py --port P --dir D --config C`, on a database of its own.

The configuration is written by the tests' runner with the peer's names of settings; those that we have are mapped. The
databases lie on the PostgreSQL server named by QCHIVE_CONFORMANCE_DSN, and are copies of one prepared by `template`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from qchive.db.migrate import migrate
from qchive.server.run import serve
from qchive.server.settings import Settings
from qchive.server.upkeep.run import keep_up

DSN = "QCHIVE_CONFORMANCE_DSN"
NOTE = "conninfo.txt"
"""In the server's folder: where its database is."""

TEMPLATE = "conformance_template"

SAME = {
    "name": "name",
    "strict_queue_tags": "strict_compute_tags",
    "strict_compute_tags": "strict_compute_tags",
    "heartbeat_frequency": "heartbeat_frequency",
    "heartbeat_frequency_jitter": "heartbeat_jitter",
    "heartbeat_max_missed": "heartbeat_max_missed",
    "api_limits": "api_limits",
    "auto_reset": "auto_reset",
}
"""The peer's name of a setting → ours. What is missing here has no effect on what we have so far."""


def settings(given: dict[str, Any], port: int) -> Settings:
    """Our settings for the peer's."""
    if given.get("enable_security"):
        sys.exit("accounts are not supported yet")
    mapped = {SAME[name]: value for name, value in given.items() if name in SAME}
    return msgspec.convert(mapped | {"port": port}, Settings)


def template(dsn: str) -> None:
    """Prepare the database that all others are copies of."""
    _execute(dsn, f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    migrate(of(dsn, TEMPLATE))


def of(dsn: str, name: str) -> str:
    """Where the database `name` is on the same server."""
    return dsn.replace("/qchive?", f"/{name}?", 1)


def _execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    given = parser.parse_args()
    wanted = settings(json.loads(given.config.read_text())["settings"], given.port)
    dsn, name = os.environ[DSN], f"conformance_{given.port}"
    _execute(dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _execute(dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    (given.dir / NOTE).write_text(of(dsn, name))
    # Upkeep beside it, ended with this process's group.
    multiprocessing.get_context("spawn").Process(target=keep_up, args=(of(dsn, name), wanted), daemon=True).start()
    serve(of(dsn, name), wanted)


if __name__ == "__main__":
    main()
