"""What actions cost for each record as there are more of them: in one call, and among many others; ours only."""

from __future__ import annotations

import time
import uuid
from typing import Any

import psycopg

from benchmarks.actions import STEPS
from benchmarks.inputs import molecules
from benchmarks.measure import Figure, check, measured
from benchmarks.records import add
from benchmarks.servers import Server
from benchmarks.sizes import Sizes
from benchmarks.waiting import copies, empty

FEW = 2_000
"""Records of one call, with which the others are compared."""
_TRIED = """
WITH tried AS (
    UPDATE record SET status = %(status)s, attempt_no = attempt_no + 1 WHERE id = ANY(%(ids)s) RETURNING id, attempt_no
)
INSERT INTO attempt (record_id, attempt_no, outcome) SELECT id, attempt_no, %(status)s FROM tried
"""


def scale(server: Server, sizes: Sizes) -> list[Figure]:
    """All actions on few and on many records, alone and among others, by id; then one by filter."""
    if server.name != "qchive" or not sizes.many:
        return []
    figures: list[Figure] = []
    for table in ("record", "attempt", "comment"):
        _execute(server, f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    for others in (0, sizes.others):
        ids, tag = _records(server, sizes.many, others)
        for per_call in (FEW, sizes.many) if not others else (sizes.many,):
            among = f", among {others} others" if others else ""
            _life(server, ids, per_call, f"{{}} of {per_call} records{among}", figures)
        _by_filter(server, tag, sizes.many, f"cancel by filter {sizes.many} records{among}", figures)
        empty(server)
    for table in ("record", "attempt", "comment"):
        _execute(server, f"ALTER TABLE {table} RESET (autovacuum_enabled)")
    return figures


def _records(server: Server, n: int, others: int) -> tuple[list[int], str]:
    """So many waiting single points with ids of their own, the others half before and half behind them."""
    parts = []
    for count in (others // 2, n, others - others // 2):
        tag = uuid.uuid4().hex
        parts.append(tag)
        if count:
            first = add(server, molecules(1), tag, 1, server.cost(), new=True)[0]
            copies(server, first, count - 1)
    _vacuum(server)
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        rows = conn.execute("SELECT id FROM record WHERE tag = %s ORDER BY id", (parts[1],)).fetchall()
    return [i for (i,) in rows], parts[1]


def _life(server: Server, ids: list[int], per_call: int, name: str, figures: list[Figure]) -> None:
    done = 0
    with measured(name.format("vacuum after all"), server, 1, figures) as vacuum:
        for action, _, act in STEPS[:-1]:  # all but hard deletion
            if action in ("fail", "compute"):
                _execute(server, _TRIED, {"status": "error" if action == "fail" else "complete", "ids": ids})
                _vacuum(server)
                continue
            with measured(name.format(action), server, len(ids), figures) as cost, cost:
                for start in range(0, len(ids), per_call):
                    check(act(server.client, ids[start : start + per_call]).success, action)
            done += len(ids)
            with vacuum:
                _vacuum(server)
    figures[-1].n = done
    _execute(server, "UPDATE record SET status = 'waiting' WHERE id = ANY(%s)", (ids,))
    _vacuum(server)


def _vacuum(server: Server) -> None:
    """At a time of our choosing: by itself it would come once a minute, and burden one action with all before it."""
    _execute(server, "VACUUM ANALYZE")


def _execute(server: Server, statement: str, params: Any = None) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        conn.execute(statement.encode(), params)


def _by_filter(server: Server, tag: str, n: int, name: str, figures: list[Figure]) -> None:
    """Through the background: the cost and the time until the last record is done."""
    from qchive import PortalClient
    from qchive.api import operations

    with PortalClient(server.url, show_motd=False) as client, measured(name, server, n, figures) as cost, cost:
        plan = {"action": "cancel", "filter": {"compute_tag": [tag]}}
        seen = client.connection.ask(operations.PREVIEW, body=plan)
        done = client.connection.ask(operations.APPLY, body={"token": seen.token})
        while done.state == "running":
            time.sleep(0.05)
            done = client.connection.ask(operations.GET, operation_id=done.id)
    check((done.state, done.changed) == ("complete", n), f"{done}")
