"""No request does a statement per record: what PostgreSQL itself says it was asked, for few records and for many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest
from tests.acting import do, last_operation, link, new_tag, preview, undo
from tests.factories import OPTIMIZATION, SPEC, Http, Manager, add, failure, make_molecule, make_result, sql

from qchive.kinds import KINDS, Kind

MANY = 40


class Log:
    """PostgreSQL's own log of the statements that the server under test sends."""

    def __init__(self, path: Any) -> None:
        self._path = path
        self._from = path.stat().st_size

    def said(self) -> Counter[str]:
        """Statements since the last look, by their first line."""
        with self._path.open("rb") as log:
            log.seek(self._from)
            new = log.read()
            self._from = log.tell()
        lines = re.findall(r"LOG:  (?:execute [^:]*|statement): (.*)", new.decode())
        # The server notes every few seconds that it is there.
        return Counter(line for line in lines if not line.startswith("-- Note that the API"))


@pytest.fixture
def log(archive: Any, api: Http, postgres: Any) -> Log:
    name = archive.conninfo.partition("?")[0].rpartition("/")[2]
    sql(archive.conninfo, f"ALTER DATABASE {name} SET log_statement = 'all'")
    # Only new connections obey.
    sql(
        archive.conninfo,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    api.post("records/query", {})
    return Log(postgres.log)


def molecules(n: int) -> list[dict[str, Any]]:
    return [make_molecule() for _ in range(n)]


def adding(api: Http, kind: str, **more: Any) -> Callable[[int], Any]:
    return lambda n: partial(add, api, molecules=molecules(n), kind=kind, **more)


def adding_composite(api: Http, kind: Kind) -> Callable[[int], Any]:
    """Records like the kind's example, each of other molecules."""
    (like,) = kind.example[kind.inputs.field]

    def prepare(n: int) -> Callable[[], Any]:
        body = {**kind.example, kind.inputs.field: [_another(like, 1 + next(_scales) * 1e-4) for _ in range(n)]}
        body |= {"compute_tag": "*", "compute_priority": 1}

        def post() -> None:
            meta, ids = api.post(f"records/{kind.name}/bulkCreate", body)
            assert len(meta["inserted_idx"]) == len(set(ids)) == n, meta

        return post

    return prepare


_scales = count(1)


def _another(like: Any, scale: float) -> Any:
    if isinstance(like, dict):
        return {**like, "geometry": [x * scale for x in like["geometry"]]}
    return [_another(part, scale) for part in like] if isinstance(like, list) else like


def finding(api: Http) -> Callable[[int], Any]:
    def prepare(n: int) -> Callable[[], Any]:
        known = molecules(n)
        add(api, molecules=known)
        return lambda: add(api, molecules=known)

    return prepare


def claiming(api: Http) -> Callable[[int], Any]:
    def prepare(n: int) -> Callable[[], Any]:
        manager = Manager(api, tags=[f"c{n}"])
        add(api, n, compute_tag=f"c{n}")
        return lambda: manager.claim(n)

    return prepare


def returning(api: Http, kind: str, fails: bool = False) -> Callable[[int], Any]:
    def prepare(n: int) -> Callable[[], Any]:
        tag = f"r{n}{kind}{fails}"
        manager = Manager(api, tags=[tag])
        ids = add(api, n, kind, compute_tag=tag)
        tasks = manager.claim(n)
        assert len(tasks) == len(ids)
        parts = {"stdout": "x", "native_files": {"a": "b", "c": "d"}} if kind == "singlepoint" else {}
        results = {t["id"]: failure() if fails else make_result(t, **parts) for t in tasks}
        return lambda: manager.give(results)

    return prepare


def reading(api: Http, kind: str) -> Callable[[int], Any]:
    def prepare(n: int) -> Callable[[], Any]:
        tag = f"g{n}{kind}"
        ids = add(api, n, kind, compute_tag=tag)
        manager = Manager(api, tags=[tag])
        manager.give({t["id"]: make_result(t, stdout="x") for t in manager.claim(n)})
        waiting = add(api, n, kind)
        return lambda: api.post(f"records/{kind}/bulkGet", {"ids": [*ids, *waiting], "include": ["**"]})

    return prepare


def changing(api: Http, method: str, path: str, body: dict[str, Any]) -> Callable[[int], Any]:
    def prepare(n: int) -> Callable[[], Any]:
        ids = add(api, n)
        return lambda: api.ask(method, f"/api/v1/{path}", {"record_ids": ids, **body})

    return prepare


def stopping_families(api: Http, conninfo: str) -> Callable[[int], Any]:
    """Parents with a child each, all in one request for the children."""

    def prepare(n: int) -> Callable[[], Any]:
        parents, ids = add(api, n), add(api, n)
        for parent, child in zip(parents, ids, strict=True):
            link(conninfo, parent, child)
        return lambda: do(api, "cancel", *ids)

    return prepare


def by_filter(api: Http, work: Callable[[Http, str, list[int]], Callable[[], Any]]) -> Callable[[int], Any]:
    """Something about all records of a tag."""

    def prepare(n: int) -> Callable[[], Any]:
        tag = new_tag()
        return work(api, tag, add(api, n, compute_tag=tag))

    return prepare


def _apply(api: Http, tag: str, ids: list[int]) -> Callable[[], Any]:
    token = preview(api, "cancel", {"compute_tag": [tag]})["token"]
    return lambda: api.post("operations", {"token": token})


def _purge(api: Http, tag: str, ids: list[int]) -> Callable[[], Any]:
    do(api, "delete", *ids)
    token = preview(api, "purge", {"compute_tag": [tag]})["token"]
    return lambda: api.post("operations", {"token": token})


def _undo(api: Http, tag: str, ids: list[int]) -> Callable[[], Any]:
    do(api, "cancel", *ids)
    operation = last_operation(api, ids[0])
    return lambda: undo(api, operation)


def _left(api: Http, tag: str, ids: list[int]) -> Callable[[], Any]:
    do(api, "cancel", *ids)
    operation = last_operation(api, ids[0])
    do(api, "uncancel", *ids)
    undone = undo(api, operation)["id"]
    return lambda: api.post(f"operations/{undone}/left", {})


def _moves(api: Http, tag: str, ids: list[int]) -> Callable[[], Any]:
    do(api, "cancel", *ids)
    operation = last_operation(api, ids[0])
    return lambda: api.post(f"operations/{operation}/moves", {})


def _operations(api: Http, tag: str, ids: list[int]) -> Callable[[], Any]:
    for record_id in ids:
        do(api, "cancel", record_id)
    return lambda: api.post("operations/query", {"record_id": ids})


def _history(api: Http, tag: str, ids: list[int]) -> Callable[[], Any]:
    for _ in ids:
        do(api, "comment", ids[0], comment="again")
        do(api, "modify", ids[0], compute_priority=1)
    return lambda: api.get(f"records/{ids[0]}/history")


REQUESTS: dict[str, Callable[[Http], Callable[[int], Any]]] = {
    "add single points": lambda api: adding(api, "singlepoint", spec=SPEC),
    "add optimizations": lambda api: adding(api, "optimization", spec=OPTIMIZATION),
    **{f"add {kind.name} records": partial(adding_composite, kind=kind) for kind in KINDS.values() if kind.is_service},
    "add again": finding,
    "add molecules": lambda api: lambda n: partial(api.post, "molecules/bulkCreate", molecules(n)),
    "claim": claiming,
    "return single points": lambda api: returning(api, "singlepoint"),
    "return optimizations": lambda api: returning(api, "optimization"),
    "return failures": lambda api: returning(api, "singlepoint", fails=True),
    "get single points": lambda api: reading(api, "singlepoint"),
    "get optimizations": lambda api: reading(api, "optimization"),
    "cancel": lambda api: changing(api, "PATCH", "records", {"status": "cancelled"}),
    "tag and comment": lambda api: changing(api, "PATCH", "records", {"compute_tag": "t", "comment": "c"}),
    "delete": lambda api: changing(api, "POST", "records/bulkDelete", {"soft_delete": True, "delete_children": True}),
    "remove": lambda api: changing(api, "POST", "records/bulkDelete", {"soft_delete": False, "delete_children": True}),
    "preview": lambda api: by_filter(api, lambda _, tag, ids: lambda: preview(api, "cancel", {"compute_tag": [tag]})),
    "apply": lambda api: by_filter(api, _apply),
    "purge": lambda api: by_filter(api, _purge),
    "undo": lambda api: by_filter(api, _undo),
    "what an undoing left": lambda api: by_filter(api, _left),
    "moves of an operation": lambda api: by_filter(api, _moves),
    "operations": lambda api: by_filter(api, _operations),
    "count": lambda api: by_filter(api, lambda _, tag, ids: lambda: api.post("records/count", {"compute_tag": [tag]})),
    "history": lambda api: by_filter(api, _history),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_many_records_need_no_more_statements_than_few(api: Http, log: Log, what: str) -> None:
    prepare = REQUESTS[what](api)
    prepare(1)()  # the first of its kind stores the specification
    few, many = prepare(2), prepare(MANY)
    log.said()
    few()
    for_few = log.said()
    many()
    for_many = log.said()
    assert for_many == for_few
    assert 0 < for_few.total() <= 30


def test_many_families_need_no_more_statements_than_few(archive: Any, api: Http, log: Log) -> None:
    prepare = stopping_families(api, archive.conninfo)
    prepare(1)()
    few, many = prepare(2), prepare(MANY)
    log.said()
    few()
    for_few = log.said()
    many()
    assert log.said() == for_few
