"""What people do to records: every action on single points, given by id, through the unmodified client."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from qcportal.record_models import RecordStatusEnum

from benchmarks.inputs import Results, molecules
from benchmarks.measure import Figure, check, measured
from benchmarks.records import add
from benchmarks.servers import PROGRAMS, Server
from benchmarks.sizes import Sizes

STEPS: tuple[tuple[str, str, Callable[[Any, list[int]], Any]], ...] = (
    ("modify", "waiting", lambda client, ids: client.modify_records(ids, new_compute_priority="high")),
    ("comment", "waiting", lambda client, ids: client.add_comment(ids, "to be looked at")),
    ("cancel", "cancelled", lambda client, ids: client.cancel_records(ids)),
    ("uncancel", "waiting", lambda client, ids: client.uncancel_records(ids)),
    ("soft delete", "deleted", lambda client, ids: client.delete_records(ids)),
    ("undelete", "waiting", lambda client, ids: client.undelete_records(ids)),
    ("fail", "error", lambda client, ids: None),
    ("reset", "waiting", lambda client, ids: client.reset_records(ids)),
    ("compute", "complete", lambda client, ids: None),
    ("invalidate", "invalid", lambda client, ids: client.invalidate_records(ids)),
    ("uninvalidate", "complete", lambda client, ids: client.uninvalidate_records(ids)),
    ("hard delete", "", lambda client, ids: client.delete_records(ids, soft_delete=False)),
)
"""What is done, one after the other, and the status it leaves; what is no action of a person is not measured."""


def actions(server: Server, sizes: Sizes) -> list[Figure]:
    """All actions on the same single points."""
    figures: list[Figure] = []
    n, tag = sizes.actions, uuid.uuid4().hex
    with measured("", server, n, []) as cost:
        ids = add(server, molecules(n), tag, sizes.chunk, cost, new=True)
    for name, status, act in STEPS:
        if name in ("fail", "compute"):
            _run(server, tag, sizes, fails=name == "fail")
        else:
            with measured(name, server, n, figures) as cost, cost:
                meta = act(server.client, ids)
            check(meta.success and meta.error_string == "", f"{name}: {meta}")
        _check(server, ids, status)
    return figures


def _check(server: Server, ids: list[int], status: str) -> None:
    some = [ids[0], ids[len(ids) // 2], ids[-1]]
    found = [r and r.status for r in server.client.get_records(some, missing_ok=True)]
    check(found == [RecordStatusEnum(status) if status else None] * 3, f"{found} instead of {status}")


def _run(server: Server, tag: str, sizes: Sizes, *, fails: bool) -> None:
    """Compute everything that waits under this tag."""
    manager, make = server.manager(tag), Results(100, sizes.steps)
    while some := manager.claim(PROGRAMS, [tag], sizes.claim):
        meta = manager.return_finished({task.id: make.failed() if fails else make.of(task) for task in some})
        check(meta.n_accepted == len(some), f"returning: {meta.rejected_info[:1]}")
    manager.deactivate(0, 0, 0.0, 0.0)
