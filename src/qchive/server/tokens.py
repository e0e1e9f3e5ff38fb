"""API tokens: making, renaming, revoking and listing them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from qchive.api.tokens import PREFIX, APIToken, NewAPIToken, NewToken, Renaming, Scope
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import InvalidAccount, NotFound
from qchive.server.context import Context
from qchive.server.gate import hash_of
from qchive.server.settings import Settings
from qchive.server.users import id_of
from qchive.server.users import mine as myself
from qchive.wire import utc

MOST = 100
"""Tokens of one account."""
SHOWN = len(PREFIX) + 8
"""Characters that lists show of a token, to tell it from others."""


async def every(ctx: Context) -> list[APIToken]:
    """The tokens of all accounts."""
    return await ctx.db.read(lambda conn: statements.rows(conn, "tokens/all", APIToken))


async def theirs(ctx: Context, user: str) -> list[APIToken]:
    """The tokens of an account."""
    return await ctx.db.read(lambda conn: _of(conn, user))


async def _of(conn: Connection, user: str) -> list[APIToken]:
    return await statements.rows(conn, "tokens/list", APIToken, account_id=await id_of(conn, user))


async def mine(ctx: Context) -> list[APIToken]:
    """The tokens of the account that asks."""
    return await theirs(ctx, myself(ctx))


async def add_theirs(ctx: Context, body: NewToken, user: str) -> NewAPIToken:
    """Make a token for an account."""
    token = PREFIX + secrets.token_urlsafe(32)
    scope, expires_at = Scope.of(body.scope), _expiry(body.expires_at, ctx.settings)

    async def work(conn: Connection) -> APIToken:
        account_id = await id_of(conn, user)
        made = await statements.rows(
            conn,
            "tokens/add",
            APIToken,
            account_id=account_id,
            hash=hash_of(token),
            token_prefix=token[:SHOWN],
            name=body.name,
            scope=str(scope),
            expires_at=expires_at,
            most=MOST,
        )
        if made:
            return made[0]
        if any(one.name == body.name for one in await _of(conn, user)):
            raise InvalidAccount(f"An API token named {body.name!r} already exists")
        raise InvalidAccount(f"This account has {MOST} API tokens, the most there may be: delete some first")

    return NewAPIToken(token=token, info=await ctx.db.run(work))


async def add_mine(ctx: Context, body: NewToken) -> NewAPIToken:
    """Make a token for the account that asks."""
    return await add_theirs(ctx, body, myself(ctx))


def _expiry(asked: datetime | None, settings: Settings) -> datetime | None:
    now, most = datetime.now(UTC), settings.api_token_max_lifetime
    if asked is None and settings.api_token_default_lifetime is not None:
        asked = now + timedelta(seconds=settings.api_token_default_lifetime)
    if asked is not None and asked <= now:
        raise InvalidAccount("An API token must expire in the future")
    if most is not None and (asked is None or asked > now + timedelta(seconds=most)):
        raise InvalidAccount(f"On this server an API token holds for at most {most} seconds: give it an expiration")
    return asked if asked is None else utc(asked)


async def rename_theirs(ctx: Context, body: Renaming, user: str, token_id: int) -> APIToken:
    """Give a token of an account another name."""

    async def work(conn: Connection) -> list[APIToken]:
        account_id = await id_of(conn, user)
        if any(one.name == body.name and one.id != token_id for one in await _of(conn, user)):
            raise InvalidAccount(f"An API token named {body.name!r} already exists")
        return await statements.rows(
            conn, "tokens/rename", APIToken, id=token_id, account_id=account_id, name=body.name
        )

    renamed = await ctx.db.run(work)
    if not renamed:
        raise NotFound("API token not found", ids=[token_id])
    return renamed[0]


async def rename_mine(ctx: Context, body: Renaming, token_id: int) -> APIToken:
    """Give a token of the account that asks another name."""
    return await rename_theirs(ctx, body, myself(ctx), token_id)


async def delete_theirs(ctx: Context, user: str, token_id: int) -> None:
    """Revoke a token of an account."""

    async def work(conn: Connection) -> int:
        return await statements.execute(conn, "tokens/delete", id=token_id, account_id=await id_of(conn, user))

    if not await ctx.db.run(work):
        raise NotFound("API token not found", ids=[token_id])


async def delete_mine(ctx: Context, token_id: int) -> None:
    """Revoke a token of the account that asks."""
    await delete_theirs(ctx, myself(ctx), token_id)
