"""What was computed on each day; a maintenance job writes it down."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from qchive.api.logs import ServerStatsEntry
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.server.context import Context


async def days(ctx: Context) -> list[ServerStatsEntry]:
    """All days, the first one first."""

    async def work(conn: Connection) -> list[dict[str, Any]]:
        return await statements.rows(conn, "statistics/days", dict)

    return [_entry(row) for row in await ctx.db.read(work)]


def _entry(row: dict[str, Any]) -> ServerStatsEntry:
    row |= {"date": dt.date.fromisoformat(row["date"])}
    row |= {"record_count_details": msgspec.json.decode(row["record_count_details"])}
    return ServerStatsEntry(**row)


async def fill(conn: Connection) -> int:
    """Write the last days anew; how many."""
    return await statements.execute(conn, "statistics/fill")
