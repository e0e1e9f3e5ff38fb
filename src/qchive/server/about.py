"""What this server is."""

from __future__ import annotations

from typing import Any

import msgspec

from qchive._version import __version__
from qchive.api import endpoints
from qchive.api.about import Asker, Information, Ping
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.server.context import Context
from qchive.server.openapi import document, route_list

PROTOCOL = "0.71"
"""The release of the QCArchive protocol spoken here; existing clients compare it with their own version."""


async def ping(ctx: Context) -> Ping:
    """Whether the server answers."""
    caller, settings = ctx.caller, ctx.settings
    authorized = not settings.secure or caller.user_id is not None or settings.allow_unauthenticated_read
    account = None if caller.user_id is None else await ctx.gate.account(user_id=caller.user_id)
    if account is None:
        return Ping(success=True, authorized=authorized)
    asker = Asker(user_id=account.id, username=account.username, role=account.role, groups=account.groups)
    return Ping(success=True, authorized=authorized, user_info=asker)


async def information(ctx: Context) -> Information:
    """Name, version, limits and heartbeat rules."""
    s = ctx.settings
    return Information(
        name=s.name,
        version=PROTOCOL,
        qchive_version=__version__,
        api_limits=s.limits,
        manager_heartbeat_frequency=s.heartbeat_frequency,
        manager_heartbeat_frequency_jitter=s.heartbeat_jitter,
        manager_heartbeat_max_missed=s.heartbeat_max_missed,
        motd=await motd(ctx),
    )


async def motd(ctx: Context) -> str:
    """The message of the day: what was last put there, else that of the settings."""

    async def work(conn: Connection) -> list[str]:
        return await statements.column(conn, "settings/get", key="motd")

    found = await ctx.db.read(work)
    return msgspec.json.decode(found[0], type=str) if found else ctx.settings.motd


async def set_motd(ctx: Context, body: str) -> None:
    """Change the message of the day, for all processes at once."""
    value = msgspec.json.encode(body).decode()
    await ctx.db.run(lambda conn: statements.execute(conn, "settings/set", key="motd", value=value))


async def openapi(ctx: Context) -> dict[str, Any]:
    """The OpenAPI document."""
    return document(endpoints(ctx.kinds), ctx.settings.name, logins=ctx.settings.secure)


async def all_routes(ctx: Context) -> dict[str, Any]:
    """Every address with its methods and the permission each needs."""
    return route_list(endpoints(ctx.kinds))
