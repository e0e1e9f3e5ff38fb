"""Browser sessions, to be looked at."""

from __future__ import annotations

from qchive.api.tokens import BrowserSession
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.server.context import Context
from qchive.server.users import id_of
from qchive.server.users import mine as myself


async def _sessions(ctx: Context, user: str | None) -> list[BrowserSession]:
    async def work(conn: Connection) -> list[BrowserSession]:
        account_id = None if user is None else await id_of(conn, user)
        lifetime = float(ctx.settings.user_session_max_age)
        return await statements.rows(conn, "sessions/list", BrowserSession, account_id=account_id, lifetime=lifetime)

    return await ctx.db.read(work)


async def every(ctx: Context) -> list[BrowserSession]:
    """Those of all accounts."""
    return await _sessions(ctx, None)


async def theirs(ctx: Context, user: str) -> list[BrowserSession]:
    """Those of one account."""
    return await _sessions(ctx, user)


async def mine(ctx: Context) -> list[BrowserSession]:
    """Those of the account that asks."""
    return await _sessions(ctx, myself(ctx))
