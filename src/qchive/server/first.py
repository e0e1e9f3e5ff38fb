"""Accounts by way of the database, for when nobody can log in: at the first start, or because a password is lost."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qchive.api.tokens import PREFIX, Scope
from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.server import passwords
from qchive.server.gate import hash_of
from qchive.server.tokens import SHOWN
from qchive.server.users import id_of

NAME = "admin"
WORKER = "local-worker"
"""The account of the worker that belongs to an archive on one machine."""

T = TypeVar("T")


def first_administrator(conninfo: str) -> str | None:
    """Make the account of the administrator if there is no account at all; its password, which is not kept."""
    password = passwords.chosen(None)
    stored = passwords.HASHER.hash(password)

    async def work(conn: Connection) -> list[int]:
        return await statements.column(conn, "accounts/add_first", username=NAME, password=stored)

    return password if _done(conninfo, work) else None


def worker_token(conninfo: str) -> str:
    """A new API token with which the archive's own worker may compute; the one before is void."""
    token = PREFIX + secrets.token_urlsafe(32)
    stored = passwords.HASHER.hash(passwords.chosen(None))

    async def work(conn: Connection) -> None:
        await statements.execute(
            conn,
            "tokens/replace",
            username=WORKER,
            password=stored,
            hash=hash_of(token),
            token_prefix=token[:SHOWN],
            name=WORKER,
            scope=str(Scope("compute")),
        )

    _done(conninfo, work)
    return token


def reset_password(conninfo: str, user: str, password: str | None = None, *, enable: bool = False) -> tuple[str, bool]:
    """Give an account, by name or id, another password (default: a made-up one); it, and whether it can log in now.

    Raises:
        NotFound: there is no such account.
        InvalidAccount: it cannot be a password.
    """
    new = passwords.chosen(password)
    stored = passwords.HASHER.hash(new)

    async def work(conn: Connection) -> list[bool]:
        user_id = await id_of(conn, user)
        return await statements.column(conn, "accounts/reset_password", id=user_id, password=stored, enable=enable)

    (enabled,) = _done(conninfo, work)
    return new, enabled


def _done(conninfo: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def once() -> T:
        db = Database(conninfo, size=1)
        await db.open()
        try:
            return await db.run(work)
        finally:
            await db.close()

    return asyncio.run(once())
