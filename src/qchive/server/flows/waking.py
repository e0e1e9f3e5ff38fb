"""When flows can go on: marked in the database, and told to upkeep with the COMMIT.

A mark is set by whatever made the last child of a batch end, so it cannot be missed; the notification only saves the
time until somebody looks. Telling costs all of PostgreSQL's commits a common lock, so it is done once per batch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qchive.db import statements
from qchive.db.pool import Connection

CHANNEL = "flow"
"""Where upkeep listens."""


def begin(conn: Connection, ids: Sequence[int], *, find_existing: bool) -> None:
    """New composite records, ready to start."""
    statements.later(conn, "flows/begin", ids=list(ids), find_existing=find_existing, channel=CHANNEL)


def ended(conn: Connection, ids: Collection[int]) -> None:
    """These records have just ended: the flows that waited for them alone are ready."""
    # Two statements: whoever waited for the lock has to look at what the other one wrote.
    statements.later(conn, "flows/hold", ids=list(ids))
    statements.later(conn, "flows/wake", ids=list(ids), channel=CHANNEL)


def moved(conn: Connection, ids: Collection[int]) -> None:
    """People moved these records: those that wait now are ready, others are not."""
    statements.later(conn, "flows/moved", ids=list(ids), channel=CHANNEL)
