"""Who asked for what: noted beside the requests, and looked at by administrators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from qchive.api.logs import ON_REQUEST, AccessLogEntry, AccessLogQuery, AccessLogSummaryQuery, Before
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.server.context import Context
from qchive.server.seen import Seen, catch_up
from qchive.wire import utc

_PLAIN = frozenset(AccessLogEntry.__struct_fields__) - ON_REQUEST
HOME = "home"
"""The module of all addresses that none of the API's can be."""

_MODULES = frozenset({"api", "auth", "compute"})


class Access(NamedTuple):
    """One request that was answered; the fields are the columns of the table."""

    timestamp: datetime
    method: str
    module: str
    full_uri: str
    request_duration: float
    request_bytes: int
    response_bytes: int
    status: int
    username: str | None
    api_token_id: int | None
    ip_address: str | None
    user_agent: str
    request_id: str


def module(path: str) -> str:
    """Which part of the server an address belongs to. There is one that does not begin with a slash: `*`."""
    first = path.removeprefix("/").partition("/")[0]
    return first if first in _MODULES else HOME


def access(seen: Seen, seconds: float) -> Access:
    """What is noted of a request that took so long."""
    path = seen.scope["path"].replace("\0", "")
    length = seen.header(b"content-length")
    caller = seen.caller
    return Access(
        timestamp=datetime.now(UTC) - timedelta(seconds=seconds),
        method=seen.scope["method"],
        module=module(path),
        full_uri=path[:2000],
        request_duration=seconds,
        request_bytes=int(length) if length.isdigit() and len(length) < 18 else seen.received,
        response_bytes=seen.sent,
        status=seen.status,
        username=caller.username if caller else None,
        api_token_id=caller.token_id if caller else None,
        ip_address=seen.address,
        user_agent=seen.header(b"user-agent")[:500],
        request_id=seen.request_id.decode(),
    )


async def write(conn: Connection, batch: Sequence[Access]) -> None:
    """Write many of them."""
    columns = zip(Access._fields, zip(*batch, strict=True), strict=True)
    await statements.execute(conn, "access_log/add", **dict(columns))


async def query(ctx: Context, body: AccessLogQuery) -> list[Any]:
    """The accesses that fit, newest first."""
    limit = ctx.page(body.limit, "get_access_logs")
    await catch_up()

    async def work(conn: Connection) -> list[dict[str, Any]]:
        ids = await statements.composed(conn, *where.accesses(body, limit))
        return await statements.rows(conn, "access_log/get", dict, ids=ids)

    keep = _wanted(body)
    nothing = dict.fromkeys(keep)
    return [{k: v for k, v in {**nothing, **row}.items() if k in keep} for row in await ctx.db.read(work)]


def _wanted(asked: AccessLogQuery) -> frozenset[str]:
    names = frozenset(asked.include or ("*",))
    if "**" in names:
        keep = _PLAIN | ON_REQUEST
    else:
        keep = names & (_PLAIN | ON_REQUEST) | (_PLAIN if "*" in names else frozenset())
    return keep - frozenset(asked.exclude or ()) | {"id"}


async def summary(ctx: Context, query: AccessLogSummaryQuery) -> dict[str, list[dict[str, Any]]]:
    """Counts, times and sizes, by group, module and method."""
    await catch_up()
    found = await ctx.db.read(lambda conn: statements.composed_tuples(conn, *where.access_summary(query)))
    groups: dict[str, list[dict[str, Any]]] = {}
    for group, module, method, count, durations, sizes in found:
        entry = {"module": module, "method": method, "count": count}
        entry |= {"request_duration_info": durations, "response_bytes_info": sizes}
        groups.setdefault(group, []).append(entry)
    return groups


async def delete(ctx: Context, body: Before) -> int:
    """Remove old ones; how many."""
    await catch_up()
    return await ctx.db.run(lambda conn: statements.execute(conn, "access_log/delete", before=utc(body.before)))
