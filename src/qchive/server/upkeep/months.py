"""The audit has a part for each month, made in advance."""

from __future__ import annotations

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.server.settings import Settings

PERIOD = 6 * 3600.0
"""Seconds between looks."""


async def make_months(db: Database, settings: Settings) -> int:
    """Make the parts of the audit for the coming months; how many are seen to."""

    async def work(conn: Connection) -> int:
        statements.later(conn, "transactions/impatient")
        return len(await statements.column(conn, "operations/months"))

    return await db.run(work)
