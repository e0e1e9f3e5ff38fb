"""The first start of an archive that others are to use: somebody has to be able to log in."""

from __future__ import annotations

import asyncio

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.server import passwords

NAME = "admin"


def first_administrator(conninfo: str) -> str | None:
    """Make the account of the administrator if there is no account at all; its password, which is not kept."""
    return asyncio.run(_first(conninfo))


async def _first(conninfo: str) -> str | None:
    password = passwords.chosen(None)
    stored = await passwords.hashed(password)

    async def work(conn: Connection) -> list[int]:
        return await statements.column(conn, "accounts/add_first", username=NAME, password=stored)

    db = Database(conninfo, size=1)
    await db.open()
    try:
        return password if await db.run(work) else None
    finally:
        await db.close()
