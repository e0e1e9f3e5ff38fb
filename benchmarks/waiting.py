"""What a claim of 50 costs as the queue grows: behind tasks like it, behind tasks it cannot run, under a snapshot."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.inputs import molecules
from benchmarks.measure import Figure, check, measured
from benchmarks.records import add
from benchmarks.servers import PROGRAMS, Server
from benchmarks.sizes import Sizes

LIMIT = 50

# Copies of one record that waits, with what belongs to it; `%(ahead)s` makes them older than all others.
_COPIES = """
WITH copied AS (
    INSERT INTO record (kind, spec_id, tag, priority, sort_time, requirement_id)
    SELECT r.kind, r.spec_id, r.tag, r.priority,
        now() - make_interval(days => %(ahead)s) + make_interval(secs => g * 1e-3), r.requirement_id
    FROM record r, generate_series(1, %(n)s) AS g
    WHERE r.id = %(id)s
    RETURNING id
), identified AS (
    INSERT INTO record_identity (record_id, identity)
    SELECT id, decode(md5(id || '-' || %(n)s), 'hex') FROM copied
)
INSERT INTO record_molecule (record_id, role, position, molecule_id)
SELECT copied.id, m.role, m.position, m.molecule_id FROM copied, record_molecule m WHERE m.record_id = %(id)s
"""
_CLAIMED = """
UPDATE record SET status = 'running', worker_id = 0, claimed_at = now(), attempt_no = attempt_no + 1
WHERE id IN (SELECT id FROM record WHERE status = 'waiting' AND tag = %(tag)s ORDER BY sort_time, id LIMIT %(n)s)
"""


def growing(server: Server, sizes: Sizes) -> list[Figure]:
    """Claims with short and long queues, and with a long queue of others ahead; ours only, as rows are made by SQL."""
    if server.name != "qchive":
        return []
    figures: list[Figure] = []
    short, long = sizes.queues
    for length, ahead in ((short, 0), (long, 0), (short, long)):
        tag = uuid.uuid4().hex
        _wait(server, tag, length, "psi4")
        if ahead:
            _wait(server, tag, ahead, "molpro", days=1)
        name = f"claim of {LIMIT}, {length} waiting" + (f", {ahead} ahead for others" if ahead else "")
        claims(server, tag, sizes.claims, name, figures)
        empty(server)
    return figures


def under_snapshot(server: Server, sizes: Sizes) -> list[Figure]:
    """A million waiting, a fifth of them claimed while a dump holds a snapshot, so that nothing dead can be removed."""
    if server.name != "qchive":
        return []
    figures: list[Figure] = []
    tag = uuid.uuid4().hex
    _wait(server, tag, sizes.queues[0], "psi4")
    claims(server, tag, sizes.claims, f"claim of {LIMIT}, {sizes.queues[0]} waiting, before the million", figures)
    tag = uuid.uuid4().hex
    _wait(server, tag, sizes.million, "psi4")
    with _snapshot(server):
        with psycopg.connect(server.dsn, autocommit=True) as conn:
            for _ in range(20):
                conn.execute(_CLAIMED, {"tag": tag, "n": sizes.claimed_under_snapshot // 20})
        name = f"claim of {LIMIT}, {sizes.million} waiting, {sizes.claimed_under_snapshot} claimed under a snapshot"
        claims(server, tag, sizes.claims, name, figures)
    empty(server)
    return figures


def claims(server: Server, tag: str, n: int, name: str, figures: list[Figure]) -> None:
    """Claim 50 so many times."""
    manager = server.manager(tag)
    manager.claim(PROGRAMS, [tag], LIMIT)  # the first plans its statements
    with measured(name, server, n, figures) as cost, cost:
        for _ in range(n):
            check(len(manager.claim(PROGRAMS, [tag], LIMIT)) == LIMIT, "fewer tasks than wait")
    manager.deactivate(0, 0, 0.0, 0.0)


def empty(server: Server) -> None:
    """Forget all records, and what vacuum would still have to do."""
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        conn.execute("TRUNCATE record CASCADE")
        conn.execute("VACUUM ANALYZE")


def _wait(server: Server, tag: str, n: int, program: str, days: int = 0) -> None:
    """Let so many single points wait: one added by the client, the others copied by SQL."""
    if program == "psi4":
        ids = add(server, molecules(1), tag, 1, server.cost(), new=True)
    else:
        _, ids = server.client.add_singlepoints(molecules(1), program, "energy", "hf", "sto-3g", compute_tag=tag)
    copies(server, ids[0], n - 1, days)


def copies(server: Server, record_id: int, n: int, days: int = 0) -> None:
    """Copies of a waiting single point, so many days older than it."""
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        conn.execute(_COPIES, {"id": record_id, "n": n, "ahead": days})
        conn.execute("VACUUM ANALYZE record, record_molecule")


@contextmanager
def _snapshot(server: Server) -> Iterator[None]:
    """What `pg_dump` holds while it runs."""
    with psycopg.connect(server.dsn) as conn:
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        conn.execute("SELECT count(*) FROM setting")
        yield
