"""Errors that nobody foresaw, as administrators look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qchive.api.logs import Before, ErrorLogEntry, ErrorLogQuery
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.server.context import Context
from qchive.server.faults import Fault
from qchive.server.seen import catch_up
from qchive.wire import utc


async def write(conn: Connection, batch: Sequence[Fault]) -> None:
    """Write many of them."""
    columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in batch] for name in Fault.__struct_fields__}
    await statements.execute(conn, "error_log/add", **columns)


async def query(ctx: Context, body: ErrorLogQuery) -> list[ErrorLogEntry]:
    """The errors that fit, newest first."""
    limit = ctx.page(body.limit, "get_error_logs")
    await catch_up()

    async def work(conn: Connection) -> list[ErrorLogEntry]:
        ids = await statements.composed(conn, *where.server_errors(body, limit))
        return await statements.rows(conn, "error_log/get", ErrorLogEntry, ids=ids)

    return await ctx.db.read(work)


async def delete(ctx: Context, body: Before) -> int:
    """Remove old ones; how many."""
    await catch_up()
    return await ctx.db.run(lambda conn: statements.execute(conn, "error_log/delete", before=utc(body.before)))
