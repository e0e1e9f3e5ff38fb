"""Counting records now and then, so that whoever looks at figures need not."""

from __future__ import annotations

from qchive.db import statements
from qchive.db.pool import Database
from qchive.server.settings import Settings

PERIOD = 60.0
"""Seconds between counts; where one takes long, a hundred times as long as it took."""
QUEUES = 200
"""Queues that are counted: the longest ones, as tags may be as many as people like."""


async def count(db: Database, settings: Settings) -> int:
    """Count, unless it is too early; how often that was."""
    return await db.run(lambda conn: statements.execute(conn, "figures/count", queues=QUEUES))
