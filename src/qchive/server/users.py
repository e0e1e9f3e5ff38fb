"""Accounts: looking at them, adding, changing and removing them."""

from __future__ import annotations

from typing import Any, NamedTuple

from qchive import wire
from qchive.api.accounts import NewPassword, NewUser, Preferences, UserInfo, check_groupname, check_username
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import Forbidden, InvalidAccount, LastAdministrator, NotFound, TooLarge
from qchive.server import passwords
from qchive.server.access import ADMINISTRATOR, NOBODY, ROLES
from qchive.server.context import Context
from qchive.server.gate import hash_of
from qchive.wire import Json

MOST_PREFERRED = 1 << 20
"""Bytes of an account's preferences."""


class Named(NamedTuple):
    """Something by its id or by its name, whichever a person gave: names are never numbers only."""

    id: int | None
    name: str | None

    @classmethod
    def of(cls, text: str) -> Named:
        """What the part of an address stands for."""
        if text.isdecimal():
            return cls(min(int(text), 2**63 - 1), None)
        return cls(None, text)


async def id_of(conn: Connection, user: str) -> int:
    """The id of an account, by id or name.

    Raises:
        NotFound: there is none.
    """
    named = Named.of(user)
    found = await statements.column(conn, "accounts/find", id=named.id, username=named.name)
    if not found:
        raise NotFound(f"User {user} not found.")
    return int(found[0])


def mine(ctx: Context) -> str:
    """The account that asks, as an address would name it."""
    return str(ctx.caller.user_id)


async def everybody(ctx: Context) -> list[UserInfo]:
    """All accounts."""

    async def work(conn: Connection) -> list[UserInfo]:
        return await _shown(conn, await statements.column(conn, "accounts/all"))

    return await ctx.db.read(work)


async def get(ctx: Context, user: str) -> UserInfo:
    """One account."""

    async def work(conn: Connection) -> list[UserInfo]:
        return await _shown(conn, [await id_of(conn, user)])

    return (await ctx.db.read(work))[0]


async def me(ctx: Context) -> UserInfo:
    """The account that asks."""
    return await get(ctx, mine(ctx))


async def _shown(conn: Connection, ids: list[int]) -> list[UserInfo]:
    return await statements.rows(conn, "accounts/get", UserInfo, ids=ids)


async def add(ctx: Context, body: NewUser) -> str:
    """Add an account; returns its password."""
    info, given = body
    check_username(info.username)
    _check_role(info.role)
    if info.id is not None:
        raise InvalidAccount("Cannot add user - id was given as part of new user info")
    password = passwords.chosen(given)
    stored = await passwords.hashed(password)

    async def work(conn: Connection) -> None:
        await _check_groups(conn, info.groups)
        new = await statements.column(
            conn,
            "accounts/add",
            username=info.username,
            password=stored,
            role=info.role,
            enabled=info.enabled,
            fullname=info.fullname,
            organization=info.organization,
            email=info.email,
            groups=info.groups,
        )
        if not new:
            raise InvalidAccount(f"User {info.username} already exists")

    await ctx.db.run(work)
    return password


async def modify(ctx: Context, body: UserInfo) -> UserInfo:
    """Change an account."""
    _check_role(body.role)
    return await _change(ctx, body, role=body.role, enabled=body.enabled, groups=body.groups)


async def modify_me(ctx: Context, body: UserInfo) -> UserInfo:
    """Change what everybody may change about themselves."""
    if (body.id, body.username) != (ctx.caller.user_id, ctx.caller.username):
        who = {"user_id": ctx.caller.user_id, "username": ctx.caller.username}
        raise Forbidden("Forbidden: Cannot modify user: this is somebody else's account", **who)
    return await _change(ctx, body, role=None, enabled=None, groups=None)


async def _change(
    ctx: Context, info: UserInfo, *, role: str | None, enabled: bool | None, groups: list[str] | None
) -> UserInfo:
    check_username(info.username)
    if info.id is None:
        raise InvalidAccount("Cannot modify user: id is missing")
    user_id = info.id

    async def work(conn: Connection) -> UserInfo:
        await _check_groups(conn, groups or [])
        if role is not None and not (role == ADMINISTRATOR and enabled):
            await _check_others_remain(conn, user_id)
        changed = await statements.column(
            conn,
            "accounts/modify",
            id=user_id,
            username=info.username,
            fullname=info.fullname,
            organization=info.organization,
            email=info.email,
            role=role,
            enabled=enabled,
            groups=groups,
        )
        if not changed:
            await id_of(conn, str(user_id))
            raise InvalidAccount(f"Cannot change the name of user {user_id} to {info.username}")
        return (await _shown(conn, changed))[0]

    return await ctx.db.run(work)


async def _check_others_remain(conn: Connection, user_id: int) -> None:
    """See that an account is not the only one of an administrator who can log in; until this transaction ends, nobody
    takes the others away."""
    if await statements.column(conn, "accounts/administrators") == [user_id]:
        raise LastAdministrator(
            "This is the only administrator who can log in: make somebody else an administrator first "
            "(`qchive users modify NAME --role admin`), or nobody could look after accounts any more"
        )


def _check_role(role: str) -> None:
    if role not in ROLES or role == NOBODY:
        allowed = ", ".join(r for r in ROLES if r != NOBODY)
        raise InvalidAccount(f"Role {role} does not exist: use one of {allowed}")


async def _check_groups(conn: Connection, groups: list[str]) -> None:
    for name in groups:
        check_groupname(name)
    missing = await statements.column(conn, "groups/missing", groups=groups) if groups else []
    if missing:
        raise InvalidAccount(f"Group {missing[0]} does not exist")


async def set_password(ctx: Context, body: NewPassword, user: str) -> str:
    """Give an account another password; returns it."""
    password = passwords.chosen(body)
    stored = await passwords.hashed(password)
    key = ctx.visit.session_key

    async def work(conn: Connection) -> None:
        await statements.execute(
            conn,
            "accounts/set_password",
            id=await id_of(conn, user),
            password=stored,
            keep=None if key is None else hash_of(key),
        )

    await ctx.db.run(work)
    return password


async def set_my_password(ctx: Context, body: NewPassword) -> str:
    """Change one's own password; returns it."""
    return await set_password(ctx, body, mine(ctx))


async def delete(ctx: Context, user: str) -> None:
    """Remove an account."""

    async def work(conn: Connection) -> None:
        user_id = await id_of(conn, user)
        if user_id == ctx.caller.user_id:
            raise InvalidAccount("Cannot delete your own user")
        await _check_others_remain(conn, user_id)
        await statements.execute(conn, "accounts/delete", id=user_id)

    await ctx.db.run(work)


async def preferences(ctx: Context, user: str) -> Any:
    """What an account has set for programs to look at."""

    async def work(conn: Connection) -> Json:
        (found,) = await statements.column(conn, "accounts/preferences", id=await id_of(conn, user)) or [b"{}"]
        return Json(found)

    return await ctx.db.read(work)


async def my_preferences(ctx: Context) -> Any:
    """What one has set for programs to look at."""
    return await preferences(ctx, mine(ctx))


async def set_preferences(ctx: Context, body: Preferences, user: str) -> None:
    """Keep what programs are to look at."""
    text = wire.stored_json(body)
    if len(text) > MOST_PREFERRED:
        raise TooLarge(f"Preferences are at most {MOST_PREFERRED} bytes", limit=MOST_PREFERRED)

    async def work(conn: Connection) -> None:
        await statements.execute(conn, "accounts/set_preferences", id=await id_of(conn, user), preferences=text)

    await ctx.db.run(work)


async def set_my_preferences(ctx: Context, body: Preferences) -> None:
    """Keep what one's own programs are to look at."""
    await set_preferences(ctx, body, mine(ctx))
