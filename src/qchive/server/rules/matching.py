"""Which records rules follow: those that have just become complete, and for some rules those that were so before.

A record is compared with all rules in the transaction that takes its note away, and whatever a rule follows has a row
of its own from then on; so nothing is missed and nothing is followed twice, whoever else looks at the same time or is
killed.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import psycopg

from qchive.api.records import Selection
from qchive.db import statements, where
from qchive.db.pool import Connection, Database
from qchive.server.faults import fault

BATCH = 500
"""Records in one transaction."""


class Looking(msgspec.Struct, frozen=True):
    """A rule as it looks for records."""

    id: int
    filter: str
    since: datetime | None
    position: int | None
    upto: int | None


async def match(db: Database) -> int:
    """Compare records that have just become complete with all rules; how many records."""

    async def work(conn: Connection) -> int:
        noted = await statements.column(conn, "rules/noted", limit=BATCH)
        if noted:
            for rule in await statements.rows(conn, "rules/enabled", Looking):
                await _follow(conn, rule, ids=list(set(noted)))
        return len(noted)

    return await db.run(work)


async def look_back(db: Database) -> int:
    """Look at some of what is complete already, for one of the rules that are to follow it; how many rules did."""

    async def work(conn: Connection) -> int:
        begun = await statements.column(conn, "rules/fence")
        found = await statements.rows(conn, "rules/look_back", Looking)
        for rule in found:
            ids = await _follow(conn, rule, after=rule.position, upto=rule.upto)
            position = ids[-1] if len(ids) == BATCH else None
            await statements.execute(conn, "rules/looked_back", id=rule.id, position=position)
        return len(begun) + len(found)

    return await db.run(work)


async def _follow(conn: Connection, rule: Looking, **bounds: object) -> list[int]:
    """Let a rule follow those of the records that fit; their ids. A filter that cannot be used costs this rule its
    turn, not the others theirs."""
    try:
        selection = msgspec.json.decode(rule.filter, type=Selection)
        ids = await statements.composed(
            conn, *where.followed(selection, since=None if "upto" in bounds else rule.since, limit=BATCH, **bounds)
        )
    except (msgspec.DecodeError, psycopg.DataError, psycopg.ProgrammingError) as problem:
        error_id = fault(problem, f"the filter of rule {rule.id}").fields["error_id"]
        text = f"Its filter cannot be used ({type(problem).__name__}; internal error {error_id}): make another rule"
        await statements.execute(conn, "rules/trouble", id=rule.id, problem=text)
        return []
    if ids:
        await statements.execute(conn, "rules/follow", rule_id=rule.id, ids=ids)
    return ids
