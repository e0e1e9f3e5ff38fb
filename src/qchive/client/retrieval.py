"""Getting records, finding them, and waiting for them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec

from qchive import wire
from qchive.api import records
from qchive.api.endpoint import BulkGet, Endpoint
from qchive.client.classes import as_record
from qchive.client.given import as_ids, filters, is_one, without_nothing
from qchive.client.history import History, HistoryEvent
from qchive.client.iterators import RecordQueryIterator
from qchive.client.progress import Bar
from qchive.client.records import BaseRecord, kind_of, rows
from qchive.client.session import Session
from qchive.client.tables import Counts
from qchive.kinds import KINDS
from qchive.status import RecordStatusEnum

Ids = int | Iterable[int]
Include = Iterable[str] | None

UNFINISHED = frozenset({RecordStatusEnum.waiting, RecordStatusEnum.running})

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.2, 5.0, 1.5


class _Standing(msgspec.Struct):
    id: int
    status: RecordStatusEnum


class _Type(msgspec.Struct):
    id: int
    record_type: str


class RetrievalCalls(Session):
    """Get and find records. `record_ids` is one id (the answer is one record) or any collection (a list in its order).

    `include` names parts to fetch at once instead of when they are looked at (`compute_history`, `outputs`, `task`,
    `comments`, `native_files`, `molecule`, `wavefunction`, `trajectory`, `optimizations`, `components`, `clusters`,
    `singlepoints`, `progress` …; `**` is everything). Child records come with the same parts.
    """

    def get_records(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Records of any type. None stands for missing ones with `missing_ok`.

        Raises:
            NotFound: one does not exist.
        """
        ids, names = as_ids(record_ids), _names(include)
        if names is None or set(names) <= {"*", *records.ON_REQUEST}:
            found = self._get(records.BULK_GET, ids, missing_ok, names)
        else:  # what only some types have is sent by the endpoints of these types
            found = self._get_by_type(ids, missing_ok, names)
        return found[0] if is_one(record_ids) else found

    def get(self, kind: str, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Records of one kind; records of another kind count as missing."""
        names = _names(include)
        found = self._get(rows(kind_of(kind))["bulk_get"], as_ids(record_ids), missing_ok, names)
        self._fetch_children([r for r in found if r is not None], names)
        return found[0] if is_one(record_ids) else found

    def get_singlepoints(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Single points by id."""
        return self.get("singlepoint", record_ids, missing_ok, include=include)

    def get_optimizations(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Geometry optimizations by id."""
        return self.get("optimization", record_ids, missing_ok, include=include)

    def get_torsiondrives(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Torsion drives by id."""
        return self.get("torsiondrive", record_ids, missing_ok, include=include)

    def get_gridoptimizations(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Grid optimizations by id."""
        return self.get("gridoptimization", record_ids, missing_ok, include=include)

    def get_reactions(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Reactions by id."""
        return self.get("reaction", record_ids, missing_ok, include=include)

    def get_manybodys(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Many-body expansions by id."""
        return self.get("manybody", record_ids, missing_ok, include=include)

    def get_nebs(self, record_ids: Ids, missing_ok: bool = False, *, include: Include = None) -> Any:
        """Nudged elastic bands by id."""
        return self.get("neb", record_ids, missing_ok, include=include)

    def query_records(self, **given: Any) -> RecordQueryIterator:
        """Records of any type that fit, newest first.

        Filters, one or several values each: `record_id`, `record_type`, `status`, `manager_name`,
        `history_manager_name`, `parent_id`, `child_id`, `dataset_id`, `project_id`, `owner_user`, `creator_user`; times
        (datetime or ISO text, UTC): `created_before`, `created_after`, `modified_before`, `modified_after`. Servers of
        QCHive know more: `compute_tag`, `program` (that computes energies, also behind an optimizer), `driver`,
        `method`, `basis`; and of the last error `error_class`, `error_type`, `error_text` (part of the message) and
        `fingerprint`. `limit` is how many at most, `include` as for getting.

        Raises:
            TypeError: a filter that does not exist.
        """
        return self._query(records.QUERY, lambda ids, names: self.get_records(ids, True, include=names), given)

    def count_records(self, **given: Any) -> Counts:
        """How many records fit, by type and status; filters as for `query_records`. Servers of QCHive only.

        Raises:
            TypeError: a filter that does not exist.
        """
        body = without_nothing(records.Selection(**filters(records.Selection, given)))
        return Counts(self.connection.ask(records.COUNT, body=body))

    def get_history(self, record_id: int) -> History:
        """All that happened to a record, oldest first: attempts (lost ones too), what people did, comments; of one that
        was removed for good, what people did to it. Servers of QCHive only.

        Raises:
            NotFound: there never was such a record.
        """
        return History(self.connection.ask(records.TIMELINE, record_id=int(record_id), answer=list[HistoryEvent]))

    def query(self, kind: str, **given: Any) -> RecordQueryIterator:
        """Records of one kind that fit: filters of all records and those of the kind (`program`, `method` …)."""
        row = rows(kind_of(kind))["query"]
        return self._query(row, lambda ids, names: self.get(kind, ids, True, include=names), given)

    def query_singlepoints(self, **given: Any) -> RecordQueryIterator:
        """Single points: also by `program`, `driver`, `method`, `basis`, `keywords`, `molecule_id`."""
        return self.query("singlepoint", **given)

    def query_optimizations(self, **given: Any) -> RecordQueryIterator:
        """Optimizations: also by `program`, `qc_program`, `qc_method`, `qc_basis`, `initial_molecule_id`,
        `final_molecule_id`."""
        return self.query("optimization", **given)

    def query_torsiondrives(self, **given: Any) -> RecordQueryIterator:
        """Torsion drives: also by `program`, `optimization_program`, `qc_program`, `qc_method`, `qc_basis`,
        `initial_molecule_id`."""
        return self.query("torsiondrive", **given)

    def query_gridoptimizations(self, **given: Any) -> RecordQueryIterator:
        """Grid optimizations: also by `program`, `optimization_program`, `qc_program`, `qc_method`, `qc_basis`,
        `initial_molecule_id`."""
        return self.query("gridoptimization", **given)

    def query_reactions(self, **given: Any) -> RecordQueryIterator:
        """Reactions: also by `program`, `optimization_program`, `qc_program`, `qc_method`, `qc_basis`,
        `molecule_id`."""
        return self.query("reaction", **given)

    def query_manybodys(self, **given: Any) -> RecordQueryIterator:
        """Many-body expansions: also by `program`, `qc_program`, `qc_method`, `qc_basis`, `initial_molecule_id`."""
        return self.query("manybody", **given)

    def query_nebs(self, **given: Any) -> RecordQueryIterator:
        """Nudged elastic bands: also by `program`, `qc_program`, `qc_method`, `qc_basis`, `molecule_id` (of the chain
        they began with)."""
        return self.query("neb", **given)

    def wait(
        self, record_ids: Ids, *, timeout: float | None = None, progress: bool = True, interval: float | None = None
    ) -> Any:
        """The records, once none of them waits or runs any more; look at their `status` to see how they ended.

        Asks every `interval` seconds, or else ever less often, from 0.2 s to 5 s. Records removed meanwhile are None.

        Raises:
            TimeoutError: some were not finished after `timeout` seconds.
            NotFound: one does not exist.
        """
        ids = as_ids(record_ids)
        deadline = None if timeout is None else time.monotonic() + timeout
        with Bar("waiting", len(set(ids)), show=progress) as bar:
            self._wait(list(dict.fromkeys(ids)), deadline, bar, interval)
        return self.get_records(record_ids, missing_ok=True)

    def _wait(self, ids: Sequence[int], deadline: float | None, bar: Bar, interval: float | None) -> None:
        ended: Counter[RecordStatusEnum] = Counter()
        open_ids, pause, missing_ok = list(ids), interval or _FIRST_PAUSE, False
        while True:
            standing = self._standing(open_ids, missing_ok)
            left = [s.id for s in standing if s.status in UNFINISHED]
            ended.update(s.status for s in standing if s.status not in UNFINISHED)
            counts = ended + Counter(s.status for s in standing if s.status in UNFINISHED)
            said = ", ".join(f"{counts[s]} {s.value}" for s in RecordStatusEnum if counts[s])
            bar.at(len(ids) - len(left), said)
            if not left:
                return
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"{len(left)} of {len(ids)} records are not finished: {said}")
            if interval is None and len(left) < len(open_ids):
                pause = _FIRST_PAUSE  # something moves: look again soon
            time.sleep(pause if deadline is None else max(min(pause, deadline - time.monotonic()), 0))
            pause = pause if interval else min(pause * _GROWTH, _LONGEST_PAUSE)
            open_ids, missing_ok = left, True

    def _standing(self, ids: Sequence[int], missing_ok: bool) -> list[_Standing]:
        found = self._bulk(records.BULK_GET, ids, missing_ok, ["status"], list[_Standing | None])
        return [standing for standing in found if standing is not None]

    def _get(self, row: Endpoint, ids: Sequence[int], missing_ok: bool, names: Sequence[str] | None) -> list[Any]:
        if row.kind is not None:
            documents = self._bulk(row, ids, missing_ok, names, row.answer)
        else:
            raw = self._bulk(row, ids, missing_ok, names, list[dict[str, Any] | None])
            documents = (None if d is None else _document(d) for d in raw)
        return [None if d is None else as_record(d, self) for d in documents]  # type: ignore[arg-type]

    def _get_by_type(self, ids: Sequence[int], missing_ok: bool, names: Sequence[str]) -> list[BaseRecord | None]:
        types = self._bulk(records.BULK_GET, ids, missing_ok, ["record_type"], list[_Type | None])
        by_type: dict[str, list[int]] = {}
        for found in types:
            if found is not None:
                by_type.setdefault(found.record_type, []).append(found.id)
        by_id = {
            record.id: record
            for kind, some in by_type.items()
            for record in self.get(kind, some, True, include=names)
            if record is not None
        }
        return [by_id.get(i) for i in ids]

    def _bulk(
        self, row: Endpoint, ids: Sequence[int], missing_ok: bool, names: Sequence[str] | None, answer: Any
    ) -> Iterator[Any]:
        def ask(some: list[int]) -> list[Any]:
            body = without_nothing(
                BulkGet(ids=some, missing_ok=missing_ok, include=None if names is None else list(names))
            )
            found: list[Any] = self.connection.ask(row, body=body, answer=answer)
            return found

        return self.in_chunks(ids, self.api_limits["get_records"], ask)

    def _fetch_children(self, parents: Sequence[BaseRecord], names: Sequence[str] | None) -> None:
        """Give the parents the children that `include` names, with one request for all of them."""
        wanted = set(names or ())
        for child in parents[0]._kind.children if parents else ():
            if not wanted & {child.name, "**"}:
                continue
            ids = {parent.id: parent._child_ids(child) for parent in parents}
            every = list(dict.fromkeys(chain.from_iterable(ids.values())))
            children = {c.id: c for c in self.get(child.kind, every, include=names)}
            for parent in parents:
                parent.__dict__[child.name] = [children[i] for i in ids[parent.id]]
        self._fetch_relatives(parents, names)

    def _fetch_relatives(self, parents: Sequence[BaseRecord], names: Sequence[str] | None) -> None:
        """The same for what composite records show of their children: one request for each kind of them."""
        wanted = set(names or ())
        links: dict[int, list[tuple[str, int]]] = {parent.id: [] for parent in parents}
        for parent in parents:
            for view in parent._kind.views:
                if view.included and wanted & {view.name, "**"}:
                    links[parent.id] += parent._links(view)
        by_kind: dict[str, dict[int, None]] = {}
        for kind, i in chain.from_iterable(links.values()):
            by_kind.setdefault(kind, {})[i] = None
        children = {c.id: c for kind, ids in by_kind.items() for c in self.get(kind, list(ids), include=names)}
        for parent in parents:
            parent._relatives.update((i, children[i]) for _, i in links[parent.id])

    def _query(self, row: Endpoint, fetch: Any, given: dict[str, Any]) -> RecordQueryIterator:
        limit, include = given.pop("limit", None), _names(given.pop("include", None))
        wanted = filters(row.body, given)

        def ids(size: int, cursor: int | None) -> list[int]:
            body = without_nothing(row.body(**wanted, limit=size, cursor=cursor))
            if "optimization_program" in row.body.__struct_fields__:
                body.setdefault("optimization_program", None)  # other servers insist on being told
            found: list[int] = self.connection.ask(row, body=body)
            return found

        page = self.api_limits["get_records"] // 4
        return RecordQueryIterator(ids, lambda found: iter(fetch(found, include)), limit, page)


def _names(include: Include) -> list[str] | None:
    """With `*`, so that records always have what all of them have."""
    if include is None:
        return None
    return list(dict.fromkeys(["*", *([include] if isinstance(include, str) else include)]))


def _document(sent: dict[str, Any]) -> records.Record:
    kind = KINDS.get(sent["record_type"])
    return wire.convert(sent, records.Record if kind is None else records.record_type(kind))
