"""Failed records by what went wrong. Ours; other servers of the protocol have nothing like it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from qchive.api.endpoint import Count, Endpoint
from qchive.api.records import Selection

MOST = 1000
"""How many groups an answer lists at most."""
USUAL = 50
"""How many it lists unless asked for more or fewer."""
EXAMPLES = 3
"""How many records of a group are named."""


class ErrorQuery(Selection, kw_only=True):
    """Records in error that fit; AND between filters, OR inside a list."""

    limit: Count | None = None


class ErrorGroup(msgspec.Struct, kw_only=True):
    """Records in error whose last attempts failed in the same way."""

    fingerprint: str
    """The same for failures that are the same but for numbers and names; a filter for everything done by filter."""
    error_class: str
    """A member of `qchive.diagnosis.ErrorClass`."""
    error_type: str
    message: str
    """What the newest of them says, shortened to what tells."""
    program: str | None
    """What computes energies."""
    count: int
    record_ids: list[int]
    """A few of them, the newest first."""
    first_seen: datetime
    last_seen: datetime


ERRORS = Endpoint(
    name="records.errors",
    method="POST",
    path="/api/v1/records/errors",
    may="records:read",
    answer=list[ErrorGroup],
    doc="Records in error by what went wrong, the most frequent first.",
    body=ErrorQuery,
    example={"error_class": ["convergence", "memory"], "limit": 10},
)

ENDPOINTS = (ERRORS,)
