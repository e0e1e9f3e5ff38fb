"""People for tests: a server where one logs in, with an account of each role."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from qchive.api.tokens import PREFIX
from qchive.db import statements
from qchive.db.migrate import migrate
from qchive.db.pool import Connection, Database
from qchive.server import passwords
from qchive.server.access import NOBODY, ROLES
from qchive.server.settings import Settings
from tests.archive import Archive, running
from tests.factories import Http, http

PASSWORD = "correct horse battery"
PEOPLE = {f"{role}_user": role for role in ROLES if role != NOBODY}
"""Name → role; all have the same password."""
KEY = "a key for tests only, long enough for HS512 as well: 0123456789abcdef"
SECURE = Settings(enable_security=True, jwt_secret_key=KEY)


def people(conninfo: str) -> None:
    """Prepare a database: the schema, and an account of each role."""
    migrate(conninfo)
    stored = passwords.HASHER.hash(PASSWORD)

    async def work(conn: Connection) -> None:
        for name, role in PEOPLE.items():
            await statements.column(
                conn,
                "accounts/add",
                username=name,
                password=stored,
                role=role,
                enabled=True,
                fullname="",
                organization="",
                email="",
                groups=[],
            )

    async def fill() -> None:
        db = Database(conninfo, size=1)
        await db.open()
        await db.run(work)
        await db.close()

    asyncio.run(fill())


@contextmanager
def inhabited(databases: Any) -> Iterator[str]:
    """The conninfo of a fresh database with an account of each role."""
    with databases.fresh(databases.template("qchive_people", people)) as conninfo:
        yield conninfo


@contextmanager
def secure(databases: Any, settings: Settings = SECURE) -> Iterator[Archive]:
    """A server where one logs in."""
    with inhabited(databases) as conninfo, running(conninfo, settings) as server:
        yield server


def tokens(address: str, name: str, password: str = PASSWORD) -> dict[str, str]:
    """The access and the refresh token of an account."""
    answer = httpx.post(f"{address}/auth/v1/login", json={"username": name, "password": password}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def bearing(token: str | None) -> dict[str, str]:
    """The header that carries a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@contextmanager
def as_user(address: str, name: str | None, password: str = PASSWORD) -> Iterator[Http]:
    """Requests of somebody who is logged in; of nobody, for None."""
    with as_token(address, None if name is None else tokens(address, name, password)["access_token"]) as api:
        yield api


@contextmanager
def as_token(address: str, token: str | None) -> Iterator[Http]:
    """Requests with a token."""
    with http(address) as api:
        api.raw.headers.update(bearing(token))
        yield api


def api_token(api: Http, name: str = "test", **more: Any) -> tuple[str, Mapping[str, Any]]:
    """A new API token of whoever asks, and what is told of it."""
    made = api.post("me/tokens", {"name": name, **more})
    assert made["token"].startswith(PREFIX)
    return made["token"], made["info"]
