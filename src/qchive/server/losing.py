"""Compute managers that are gone, and what becomes of the records they held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qchive.db import statements
from qchive.db.pool import Connection
from qchive.diagnosis import diagnose
from qchive.server.flows import waking
from qchive.wire import compress

_NEVER = 1 << 30
QUARANTINE = "lost"
"""The error type of a record that was lost too often in a row."""


async def hand_back(conn: Connection, worker_ids: Sequence[int]) -> int:
    """Managers said farewell: what they held waits again, and nothing is held against it."""
    return await _end(conn, worker_ids, outcome="stopped", loss=0, limit=_NEVER)


async def lose(conn: Connection, worker_ids: Sequence[int], max_losses: int) -> int:
    """Managers fell silent: their attempts are lost, the records wait again, or are put in quarantine."""
    return await _end(conn, worker_ids, outcome="lost", loss=1, limit=max_losses)


async def free(conn: Connection, worker_id: int, ids: Sequence[int]) -> int:
    """A manager that is well does not know of records that it holds: they wait again, nothing is held against them."""
    return await _release(conn, [worker_id], list(ids), outcome="stopped", loss=0, limit=_NEVER)


async def _end(conn: Connection, worker_ids: Sequence[int], *, outcome: str, loss: int, limit: int) -> int:
    workers = list(worker_ids)
    await statements.execute(conn, "managers/deactivate", ids=workers)
    held = await statements.column(conn, "tasks/held", worker_ids=workers)
    return await _release(conn, workers, held, outcome=outcome, loss=loss, limit=limit)


async def _release(
    conn: Connection, worker_ids: list[int], ids: list[int], *, outcome: str, loss: int, limit: int
) -> int:
    if not ids:
        return 0
    held = await statements.tuples(
        conn, "records/release", ids=ids, worker_ids=worker_ids, outcome=outcome, loss=loss, limit=limit
    )
    await _quarantine(conn, [record_id for record_id, losses in held if losses >= limit])
    return len(held)


async def _quarantine(conn: Connection, ids: list[int]) -> None:
    if not ids:
        return
    losses: dict[int, list[dict[str, Any]]] = {}
    for record_id, attempt, manager, started, ended in await statements.tuples(conn, "attempts/losses", ids=ids):
        times = {"started_on": started and started.isoformat(), "lost_on": ended.isoformat()}
        losses.setdefault(record_id, []).append({"attempt": attempt, "manager_name": manager, **times})
    message = (
        "Every attempt ended with its compute manager gone (out of memory, out of time, a crashed node?). "
        "Look at the managers' logs; reset the record to try again."
    )
    found = diagnose(QUARANTINE, message)
    written = await statements.tuples(
        conn,
        "records/quarantine",
        ids=ids,
        error_type=QUARANTINE,
        error_message=message,
        error_class=found.error_class.value,
        fingerprint=found.fingerprint,
    )
    await statements.execute(
        conn,
        "blobs/add",
        record_ids=[record_id for record_id, _ in written],
        attempt_ids=[attempt_id for _, attempt_id in written],
        types=["error"] * len(written),
        names=[""] * len(written),
        compressions=["zstd"] * len(written),
        datas=[
            compress({"error_type": QUARANTINE, "error_message": message, "extras": {"losses": losses.get(i, [])}})
            for i, _ in written
        ],
    )
    waking.ended(conn, ids)
