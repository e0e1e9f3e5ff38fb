"""Running failed records again by themselves, in the transaction that stored their failures."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qchive.db import statements
from qchive.db.pool import Connection
from qchive.diagnosis import ErrorClass
from qchive.server.moving import Change, change
from qchive.server.retrying import LOST, Failed, again
from qchive.server.settings import AutoReset
from qchive.status import ACTIONS

AUTO_RESET = msgspec.structs.replace(ACTIONS["reset"], name="auto_reset")
"""What a person's reset does, under a name of its own: only a person's starts the counting anew."""


async def reset_failed(conn: Connection, ids: Sequence[int], settings: AutoReset) -> None:
    """Reset those of these records, which have just failed, that may run again; an operation for each reason."""
    if not settings.enabled or not ids:
        return
    failed: dict[int, list[Failed]] = {}
    for record_id, error_type, error_class in await statements.tuples(
        conn, "attempts/failed", ids=list(ids), lost_type=LOST, lost_class=ErrorClass.lost.value
    ):
        failed.setdefault(record_id, []).append(Failed(error_type, ErrorClass(error_class)))
    by_reason: dict[str, list[int]] = {}
    for record_id, attempts in failed.items():
        if (reason := again(attempts, settings)) is not None:
            by_reason.setdefault(reason, []).append(record_id)
    for reason, to_reset in by_reason.items():
        await change(conn, to_reset, Change(action=AUTO_RESET, reason=reason))
