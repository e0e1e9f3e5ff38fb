"""Logging in and out."""

from __future__ import annotations

import secrets
import uuid

from qchive.api.login import Credentials, LoggedIn, LoggedOut, Renewed, Tokens
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.server import signing
from qchive.server.access import Caller
from qchive.server.context import Context
from qchive.server.gate import Account, Holder, hash_of
from qchive.server.settings import Settings

SHOWN = 20
"""How many of an account's groups its tokens tell; headers are no place for long lists."""


async def login(ctx: Context, body: Credentials) -> Tokens:
    """Tokens for a name and a password."""
    account = await _log_in(ctx, body)
    key, claims = await ctx.gate.key(), signing.Claims(account.id, account.epoch)
    lifetime = ctx.settings.jwt_refresh_token_expires
    return Tokens(
        access_token=_access(key, account, ctx.settings), refresh_token=signing.signed(key, "refresh", claims, lifetime)
    )


async def refresh(ctx: Context) -> Renewed:
    """A new access token for a refresh token."""
    account, key = await ctx.gate.renew(ctx.visit.authorization)
    ctx.visit.known(_caller(account))
    return Renewed(access_token=_access(key, account, ctx.settings))


async def _log_in(ctx: Context, given: Credentials) -> Account:
    account = await ctx.gate.log_in(ctx.visit.address, given)
    ctx.visit.known(_caller(account))
    return account


def _caller(account: Account) -> Caller:
    return Caller(account.role, account.username, account.id)


def _access(key: str, account: Account, settings: Settings) -> str:
    claims = signing.Claims(account.id, account.epoch)
    shown = {"username": account.username, "role": account.role, "groups": account.groups[:SHOWN]}
    return signing.signed(key, "access", claims, settings.jwt_access_token_expires, **shown)


async def session_login(ctx: Context, body: Credentials) -> LoggedIn:
    """Log in with a browser: a new session takes the place of the one it may have."""
    ctx.visit.check_same_site()
    account = await _log_in(ctx, body)
    key, former = secrets.token_urlsafe(32), ctx.visit.session_key

    async def work(conn: Connection) -> None:
        await statements.execute(
            conn,
            "sessions/add",
            public_id=str(uuid.uuid4()),
            account_id=account.id,
            hash=hash_of(key),
            epoch=account.epoch,
            replaced=None if former is None else hash_of(former),
            lifetime=float(ctx.settings.user_session_max_age),
            ip_address=ctx.visit.address,
            user_agent=ctx.visit.agent,
        )

    await ctx.db.run(work)
    ctx.visit.begin_session(key)
    return LoggedIn(user_id=account.id, username=account.username, groups=account.groups, role=account.role)


async def session_logout(ctx: Context) -> LoggedOut:
    """End the browser's session."""
    ctx.visit.check_same_site()
    key = ctx.visit.session_key
    if key is not None:
        ended = await ctx.db.run(lambda conn: statements.rows(conn, "sessions/delete", Holder, hash=hash_of(key)))
        for whose in ended:
            ctx.visit.known(Caller(whose.role, whose.username, whose.id))
    ctx.visit.end_session()
    return LoggedOut()
