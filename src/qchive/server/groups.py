"""Groups of accounts."""

from __future__ import annotations

from qchive.api.accounts import GroupInfo, check_groupname
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import InvalidAccount, NotFound
from qchive.server.context import Context
from qchive.server.users import Named


async def every(ctx: Context) -> list[GroupInfo]:
    """All groups."""
    return await ctx.db.read(lambda conn: statements.rows(conn, "groups/list", GroupInfo))


async def get(ctx: Context, group: str) -> GroupInfo:
    """One group."""
    return await ctx.db.read(lambda conn: _found(conn, group))


async def _found(conn: Connection, group: str) -> GroupInfo:
    named = Named.of(group)
    found = await statements.rows(conn, "groups/find", GroupInfo, id=named.id, groupname=named.name)
    if not found:
        raise NotFound(f"Group {group} does not exist")
    return found[0]


async def add(ctx: Context, body: GroupInfo) -> None:
    """Add a group."""
    check_groupname(body.groupname)
    if body.id is not None:
        raise InvalidAccount("Cannot add a group - id was given as part of new group info")

    async def work(conn: Connection) -> None:
        new = await statements.column(conn, "groups/add", groupname=body.groupname, description=body.description)
        if not new:
            raise InvalidAccount(f"Group {body.groupname} already exists")

    await ctx.db.run(work)


async def delete(ctx: Context, group: str) -> None:
    """Remove a group."""

    async def work(conn: Connection) -> None:
        found = await _found(conn, group)
        await statements.execute(conn, "groups/delete", id=found.id)

    await ctx.db.run(work)
