"""Failed records by what went wrong."""

from __future__ import annotations

from qchive.api.failures import EXAMPLES, MOST, USUAL, ErrorGroup, ErrorQuery
from qchive.db import statements, where
from qchive.fingerprint import telling
from qchive.server.context import Context

_SHOWN = 300
"""Characters of a message that are shown of a group."""


async def errors(ctx: Context, body: ErrorQuery) -> list[ErrorGroup]:
    """Groups of records in error, the most frequent first."""
    limit = min(USUAL if body.limit is None else body.limit, MOST)
    found = await ctx.db.read(
        lambda conn: statements.composed_tuples(conn, *where.errors(body, examples=EXAMPLES, limit=limit))
    )
    return [
        ErrorGroup(
            fingerprint=fingerprint,
            error_class=error_class,
            error_type=error_type,
            message=_shown(message),
            program=program,
            count=count,
            record_ids=ids,
            first_seen=first,
            last_seen=last,
        )
        for fingerprint, error_class, error_type, program, count, ids, first, last, message in found
    ]


def _shown(message: str) -> str:
    told = telling(message)
    return told if len(told) <= _SHOWN else told[: _SHOWN - 1] + "…"
