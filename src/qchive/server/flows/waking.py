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


def hold(conn: Connection, ids: Collection[int]) -> None:
    """Lock the flows of these records, and those that asked for them. All who lock several do it by this statement.

    Locks are taken in one order everywhere: records by their ids, then flows by those of their records. Whoever ends or
    moves records holds these before he looks at flows; whoever takes a record on holds it and its children before he
    touches its flow.
    """
    statements.later(conn, "flows/hold", ids=list(ids))


def ended(conn: Connection, ids: Collection[int]) -> None:
    """These records have just ended: the flows that waited for them alone are ready."""
    # Two statements: whoever waited for the lock has to look at what the other one wrote.
    hold(conn, ids)
    _wake(conn, ids)


def moved(conn: Connection, ids: Collection[int]) -> None:
    """These records were moved: of the composite ones those that wait now are ready, others are not; and the flows that
    waited for one that has stopped, if their own records were left as they are."""
    hold(conn, ids)
    statements.later(conn, "flows/moved", ids=list(ids), channel=CHANNEL)
    _wake(conn, ids)


def _wake(conn: Connection, ids: Collection[int]) -> None:
    statements.later(conn, "flows/wake", ids=list(ids), channel=CHANNEL)
