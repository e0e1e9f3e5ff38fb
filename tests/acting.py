"""What people do to records, for tests: a request for each action, records in every status, and families."""

from __future__ import annotations

import itertools
from typing import Any

from tests.factories import Http, Manager, add, failure, make_result, sql

STATUSES = ("waiting", "running", "error", "complete", "cancelled", "invalid", "deleted")
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "reset": ("PATCH", "records", {"status": "waiting"}),
    "cancel": ("PATCH", "records", {"status": "cancelled"}),
    "invalidate": ("PATCH", "records", {"status": "invalid"}),
    "uncancel": ("POST", "records/revert", {"revert_status": "cancelled"}),
    "uninvalidate": ("POST", "records/revert", {"revert_status": "invalid"}),
    "undelete": ("POST", "records/revert", {"revert_status": "deleted"}),
    "delete": ("POST", "records/bulkDelete", {"soft_delete": True, "delete_children": True}),
    "delete_alone": ("POST", "records/bulkDelete", {"soft_delete": True, "delete_children": False}),
    "remove": ("POST", "records/bulkDelete", {"soft_delete": False, "delete_children": True}),
    "remove_alone": ("POST", "records/bulkDelete", {"soft_delete": False, "delete_children": False}),
}
"""Those that need nothing but ids."""

_numbers = itertools.count()


def new_tag() -> str:
    """A tag that nobody else uses."""
    return f"acting{next(_numbers)}"


def do(api: Http, action: str, *ids: int, **more: Any) -> dict[str, Any]:
    """Do something to records: the metadata of the answer."""
    method, path, body = REQUESTS.get(action, ("PATCH", "records", {}))
    return api.ask(method, f"/api/v1/{path}", {"record_ids": list(ids), **body, **more})  # type: ignore[no-any-return]


def changed(answer: dict[str, Any]) -> list[int]:
    """Positions of what changed."""
    found: list[int] = answer["updated_idx"] if "updated_idx" in answer else answer["deleted_idx"]
    return found


def refused(answer: dict[str, Any]) -> list[int]:
    """Positions of what did not."""
    return [n for n, _ in answer["errors"]]


def children(answer: dict[str, Any]) -> int:
    """How many others changed along."""
    found: int = answer["n_children_updated"] if "n_children_updated" in answer else answer["n_children_deleted"]
    return found


def one_of_each(api: Http, kind: str = "singlepoint", tag: str | None = None) -> dict[str, int]:
    """A record in each status, unrelated to each other."""
    tag = tag or new_tag()
    ids = dict(zip(STATUSES, add(api, 7, kind, compute_tag=tag), strict=True))
    manager = Manager(api, tags=[tag])
    tasks = {t["record_id"]: t for t in manager.claim()}
    done = {ids[s]: make_result(tasks[ids[s]]) for s in ("complete", "invalid")} | {ids["error"]: failure()}
    manager.give({tasks[i]["id"]: result for i, result in done.items()})
    do(api, "invalidate", ids["invalid"])
    for status in ("waiting", "cancelled", "deleted"):
        do(api, "cancel", ids[status])
        do(api, "uncancel", ids[status])
    do(api, "cancel", ids["cancelled"])
    do(api, "delete", ids["deleted"])
    assert api.statuses(list(ids.values())) == list(STATUSES)
    return ids


def family(api: Http) -> tuple[int, list[int]]:
    """A finished optimization and its two steps."""
    tag = new_tag()
    (parent,) = add(api, kind="optimization", compute_tag=tag)
    manager = Manager(api, tags=[tag])
    (task,) = manager.claim()
    manager.give({task["id"]: make_result(task)})
    return parent, api.get(f"records/optimization/{parent}/trajectory")


def link(conninfo: str, parent: int, *ids: int) -> None:
    """Make records the children of another, as services do."""
    for child in ids:
        insert = "INSERT INTO record_child (parent_id, role, key, child_id) VALUES (%s, 'test', %s, %s)"
        sql(conninfo, insert, parent, str(child), child)


def stacks(conninfo: str, *ids: int) -> list[list[str]]:
    """The earlier statuses below each record's own, which no request shows."""
    found = dict(sql(conninfo, "SELECT id, stack::text[] FROM record WHERE id = ANY(%s)", list(ids)))
    return [found[i] for i in ids]


def task_of(api: Http, record_id: int) -> Any:
    """The task of a record, or None."""
    return api.record(record_id, "task")["task"]


def preview(api: Http, action: str, wanted: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What an action would do to all records that fit."""
    return api.post("operations/preview", {"action": action, "filter": wanted, **changes})  # type: ignore[no-any-return]


def by_filter(api: Http, action: str, wanted: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Do it: the operation."""
    return api.post("operations", {"token": preview(api, action, wanted, **changes)["token"]})  # type: ignore[no-any-return]


def last_operation(api: Http, record_id: int) -> int:
    """The id of what was done to a record last."""
    (found,) = api.post("operations/query", {"record_id": [record_id], "limit": 1})
    return int(found["id"])


def undo(api: Http, operation_id: int, **body: Any) -> dict[str, Any]:
    """Take an operation back: the operation that did so."""
    return api.post(f"operations/{operation_id}/undo", body)  # type: ignore[no-any-return]
