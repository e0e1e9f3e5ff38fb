"""A server of ours for the peer's tests: `serve.py --port P --dir D --config C`, on a database of its own.

The configuration is written by the tests' runner with the peer's names of settings; those that we have are mapped. The
databases lie on the PostgreSQL server named by QCHIVE_CONFORMANCE_DSN, and are copies of one prepared by `template`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from qchive.db.migrate import migrate
from qchive.server.passwords import HASHER
from qchive.server.run import serve
from qchive.server.settings import Settings
from qchive.server.upkeep.run import keep_up
from tests.interop.conformance.empty import PEOPLE, settle

DSN = "QCHIVE_CONFORMANCE_DSN"
NOTE = "conninfo.txt"
"""In the server's folder: where its database is."""

TEMPLATE = "conformance_template"

SAME = {
    "name": "name",
    "homepage_redirect_url": "homepage_redirect_url",
    "homepage_directory": "homepage_directory",
    "strict_queue_tags": "strict_compute_tags",
    "strict_compute_tags": "strict_compute_tags",
    "heartbeat_frequency": "heartbeat_frequency",
    "heartbeat_frequency_jitter": "heartbeat_jitter",
    "heartbeat_max_missed": "heartbeat_max_missed",
    "api_limits": "api_limits",
    "auto_reset": "auto_reset",
    "enable_security": "enable_security",
    "allow_unauthenticated_read": "allow_unauthenticated_read",
    "log_access": "log_access",
    "hide_internal_errors": "hide_internal_errors",
}
"""The peer's name of a setting → ours. What is missing here has no effect on what we have so far."""


SAME_OF_API = (
    "jwt_access_token_expires",
    "jwt_refresh_token_expires",
    "user_session_max_age",
    "login_rate_limit_enabled",
    "login_rate_limit_max_attempts",
    "login_rate_limit_ip_max_attempts",
    "login_rate_limit_window",
    "api_token_default_lifetime",
    "api_token_max_lifetime",
)
"""Settings in the peer's section `api` that we have by the same names."""


def settings(given: dict[str, Any], port: int) -> Settings:
    """Our settings for the peer's."""
    mapped = {SAME[name]: value for name, value in given.items() if name in SAME}
    mapped |= {name: value for name, value in given.get("api", {}).items() if name in SAME_OF_API}
    return msgspec.convert(mapped | {"port": port, "user_session_cookie_secure": False}, Settings)


def people(config: dict[str, Any]) -> dict[str, Any]:
    """Who is to be there: the administrator and those of the tests, with hashes in the place of passwords."""
    baseline = config.get("baseline") or {}
    users = {user["username"]: user for user in baseline.get("users", [])}
    if config["settings"].get("enable_security"):
        users.setdefault(config["admin"]["username"], {**config["admin"], "role": "admin"})
    hashes = {password: HASHER.hash(password) for password in {user["password"] for user in users.values()}}
    nothing = {"enabled": True, "fullname": "", "organization": "", "email": "", "groups": []}
    return {
        "groups": baseline.get("groups", []),
        "users": [{**nothing, **user, "password": hashes[user["password"]]} for user in users.values()],
    }


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
    config = json.loads(given.config.read_text())
    wanted = settings(config["settings"], given.port)
    dsn, name = os.environ[DSN], f"conformance_{given.port}"
    _execute(dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _execute(dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    (given.dir / NOTE).write_text(of(dsn, name))
    (given.dir / PEOPLE).write_text(json.dumps(people(config)))
    with psycopg.connect(of(dsn, name)) as connection:
        settle(connection, json.loads((given.dir / PEOPLE).read_text()))
    # Upkeep beside it, ended with this process's group. `tick.py` takes composite records on when a test says so.
    upkeep = multiprocessing.get_context("spawn").Process(
        target=keep_up, args=(of(dsn, name), wanted), kwargs={"kinds": {}}, daemon=True
    )
    upkeep.start()
    serve(of(dsn, name), wanted)


if __name__ == "__main__":
    main()
