"""Asking about records, adding and changing them (`records.md`), for every kind from its one declaration."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from qchive.api.endpoint import Body, BulkGet, Count, Endpoint, Projection, Queue, Text
from qchive.api.metadata import DeleteMetadata, InsertMetadata, UpdateMetadata
from qchive.api.tasks import RecordTask
from qchive.kinds.kind import Id, Kind
from qchive.status import PriorityEnum, RecordStatusEnum
from qchive.wire import Bytes, Json

# --- what a record looks like ------------------------------------------------------------------------------------


class OutputStore(msgspec.Struct, kw_only=True):
    """One output of an attempt; the data only where it was asked for."""

    output_type: str
    compression_type: str
    data: Bytes | UnsetType = UNSET


class ComputeHistory(msgspec.Struct, kw_only=True):
    """One attempt that returned something."""

    id: int
    record_id: int
    status: RecordStatusEnum
    manager_name: str | None
    modified_on: datetime
    provenance: Json | None
    outputs: dict[str, OutputStore] | UnsetType = UNSET


class NativeFile(msgspec.Struct, kw_only=True):
    """A file that the program itself wrote; the data only where it was asked for."""

    name: str
    compression_type: str
    data: Bytes | UnsetType = UNSET


class Wavefunction(msgspec.Struct, kw_only=True):
    """A stored wavefunction; the data only where it was asked for."""

    compression_type: str
    data: Bytes | UnsetType = UNSET


class RecordComment(msgspec.Struct, kw_only=True):
    """What somebody wrote on a record."""

    id: int
    record_id: int
    username: str | None
    timestamp: datetime
    comment: str


class Dependency(msgspec.Struct, kw_only=True):
    """A record that a composite record waits for, or waited for last."""

    record_id: int
    extras: dict[str, Any]


class RecordService(msgspec.Struct, kw_only=True):
    """How far the server is with a composite record that is not complete. Its state is for people to look at."""

    id: int
    record_id: int
    tag: str
    priority: PriorityEnum
    find_existing: bool
    service_state: dict[str, Any]
    dependencies: list[Dependency]

    @property
    def compute_tag(self) -> str:
        """The same as `tag`."""
        return self.tag

    @property
    def compute_priority(self) -> PriorityEnum:
        """The same as `priority`."""
        return self.priority


class FlowProgress(msgspec.Struct, kw_only=True):
    """How far a composite record is."""

    stage: str | None
    """What is done now; None before the start."""
    done: int | None
    """Points that are settled: of the grid, images, components …"""
    total: int | None
    """Of how many, where that is known."""
    minimum: float | None
    """The lowest energy so far, in Hartree."""
    batch: int | None
    """The number of the batch that is computed; None after the end."""
    children: dict[str, int]
    """All children by status."""


class Record(msgspec.Struct, kw_only=True):
    """A record of any kind. Absent is not null: what was not asked for is not sent."""

    id: int
    record_type: str
    is_service: bool | UnsetType = UNSET
    status: RecordStatusEnum | UnsetType = UNSET
    manager_name: str | UnsetType | None = UNSET
    properties: Json | UnsetType | None = UNSET
    extras: Json | UnsetType | None = UNSET
    created_on: datetime | UnsetType = UNSET
    modified_on: datetime | UnsetType = UNSET
    owner_user: str | UnsetType | None = UNSET
    creator_user: str | UnsetType | None = UNSET
    specification: Json | UnsetType = UNSET
    compute_history: list[ComputeHistory] | UnsetType = UNSET
    task: RecordTask | UnsetType | None = UNSET
    service: RecordService | UnsetType | None = UNSET
    comments: list[RecordComment] | UnsetType = UNSET
    native_files: dict[str, NativeFile] | UnsetType | None = UNSET


COLUMNS = (
    "id",
    "record_type",
    "is_service",
    "status",
    "manager_name",
    "properties",
    "extras",
    "created_on",
    "modified_on",
    "owner_user",
    "specification",
)
"""What `*` stands for, before the kind's own fields."""

ON_REQUEST = ("compute_history", "outputs", "task", "service", "comments", "native_files")
"""What is sent only when named, or with `**`, for any kind."""


def plain_fields(kind: Kind) -> tuple[str, ...]:
    """The kind's own fields that `*` includes."""
    return (*(f"{role}_id" for role in kind.molecules), *kind.fields)


def on_request_fields(kind: Kind) -> tuple[str, ...]:
    """The kind's own names that are sent only when asked for."""
    wavefunction = ("wavefunction",) if kind.has_wavefunction else ()
    views = (view.name for view in kind.views if view.included)
    return (*kind.molecules, *(child.name for child in kind.children), *views, *wavefunction)


def named_fields(kind: Kind) -> tuple[str, ...]:
    """Names of ours, sent only to those who name them: clients of the protocol know none but its own."""
    return ("progress",) if kind.is_service else ()


@cache
def record_type(kind: Kind) -> type[Record]:
    """The answer struct of one kind."""
    fields: list[Any] = [(f"{role}_id", int | None | UnsetType, UNSET) for role in kind.molecules]
    fields += [(name, Any, UNSET) for name in kind.fields]
    fields += [(role, Json | None | UnsetType, UNSET) for role in kind.molecules]
    fields += [(child.key, list[int] | UnsetType, UNSET) for child in kind.children]
    if kind.has_wavefunction:
        fields.append(("wavefunction", Wavefunction | None | UnsetType, UNSET))
    # Other servers say null where a record has nothing to show yet.
    fields += [(view.name, view.answer | None | UnsetType, UNSET) for view in kind.views if view.included]
    if kind.is_service:
        fields.append(("progress", FlowProgress | UnsetType, UNSET))
    made = msgspec.defstruct(f"{kind.name.title()}Record", fields, bases=(Record,), kw_only=True)
    return cast(type[Record], made)


# --- what can be asked -------------------------------------------------------------------------------------------


class Add(Queue, kw_only=True):
    """What every request to add records carries beside specification and inputs."""

    find_existing: bool = True
    program_versions: dict[Text, Text] | None = None
    """Versions demanded of the programs: name → PEP 440 specifier such as `>=2.14,<3`. Checked when tasks are claimed;
    records with other demands are other records."""
    owner_group: Text | None = None
    """Accepted from older clients, without effect."""


@cache
def add_type(kind: Kind) -> type[Add]:
    """The request that adds records of one kind."""
    fields = [("specification", kind.specification), (kind.inputs.field, list[kind.inputs.element])]  # type: ignore[name-defined]
    fields += [(name, type(value), value) for name, value in kind.also_sent.items()]  # type: ignore[misc]
    made = msgspec.defstruct(f"{kind.name.title()}Add", fields, bases=(Add,), kw_only=True)
    return cast(type[Add], made)


class RecordFilter(Body, kw_only=True):
    """Records by what all kinds have; AND between filters, OR inside a list, an empty list fits nothing."""

    record_id: list[Id] | None = None
    record_type: list[Text] | None = None
    manager_name: list[Text] | None = None
    history_manager_name: list[Text] | None = None
    status: list[RecordStatusEnum] | None = None
    dataset_id: list[Id] | None = None
    project_id: list[Id] | None = None
    parent_id: list[Id] | None = None
    child_id: list[Id] | None = None
    compute_tag: list[Text] | None = None
    """Ours; other servers of this protocol do not know it."""
    created_before: datetime | None = None
    created_after: datetime | None = None
    modified_before: datetime | None = None
    modified_after: datetime | None = None
    owner_user: list[int | Text] | None = None
    creator_user: list[int | Text] | None = None


class RecordQuery(RecordFilter, kw_only=True):
    """A page of the records that fit."""

    limit: Count | None = None
    cursor: Id | None = None


class Selection(RecordFilter, kw_only=True):
    """Records of any kind by what all have and by what was computed: the one language of actions by query, counts,
    lists and error groups."""

    program: list[Text] | None = None
    """What computes energies, also behind an optimizer."""
    driver: list[Text] | None = None
    method: list[Text] | None = None
    basis: list[Text | None] | None = None
    error_class: list[Text] | None = None
    """Of the last attempt, if that failed: `qchive.diagnosis.ErrorClass`."""
    error_type: list[Text] | None = None
    error_text: list[Text] | None = None
    """Part of the error message, in upper or lower case."""
    fingerprint: list[Text] | None = None
    """Of an error, as error groups show it."""


class SelectionQuery(Selection, kw_only=True):
    """A page of the records that fit."""

    limit: Count | None = None
    cursor: Id | None = None


@cache
def query_type(kind: Kind) -> type[RecordQuery]:
    """The query of one kind: the common filters, its facets, its molecules and its keywords."""
    fields: list[Any] = [(name, list[Text | None] | None, None) for name in kind.filters]
    fields += [(name, list[Id] | None, None) for name in kind.molecule_searches]
    fields.append(("keywords", list[dict[str, Any]] | None, None))
    made = msgspec.defstruct(f"{kind.name.title()}Query", fields, bases=(RecordQuery,), kw_only=True)
    return cast(type[RecordQuery], made)


class RecordModify(Queue, kw_only=True):
    """A new status, tag, priority or a comment, for each of the records."""

    record_ids: list[Id]
    status: RecordStatusEnum | None = None
    comment: Text | None = None
    reason: Text | None = None
    """Ours: why; kept with the operation."""


class RecordRevert(Body, kw_only=True):
    """Take a cancellation, invalidation or deletion back."""

    record_ids: list[Id]
    revert_status: RecordStatusEnum
    reason: Text | None = None
    """Ours: why; kept with the operation."""


class RecordDelete(Body, kw_only=True):
    """Soft or hard deletion."""

    record_ids: list[Id]
    soft_delete: bool
    delete_children: bool
    reason: Text | None = None
    """Ours: why; kept with the operation."""


class WaitingReason(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a record waits, and what each active manager says to it."""

    reason: str
    details: dict[str, str] | None = None
    hint: str | None = None
    """What to do about it."""


class StatusCount(msgspec.Struct, kw_only=True):
    """How many records of one kind have one status."""

    record_type: str
    status: RecordStatusEnum
    count: int


class HistoryEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Something that happened to a record. What does not belong to an event is left out."""

    time: datetime
    event: str
    """`created`, `attempt`, `move` or `comment`."""
    username: str | None = None
    """Who did it; None where nobody has a name."""
    operation_id: int | None = None
    action: str | None = None
    """Of a move: a row of `qchive.status.ACTIONS`, or `undo`."""
    reason: str | None = None
    source: RecordStatusEnum | None = None
    target: RecordStatusEnum | None = None
    """None also if the record was removed for good."""
    tag: str | None = None
    """The tag that was replaced."""
    priority: int | None = None
    """The priority that was replaced."""
    new_tag: str | None = None
    new_priority: int | None = None
    """What replaced them, where an action said so."""
    attempt_no: int | None = None
    outcome: str | None = None
    """Of an attempt: `complete`, `error`, `lost`, `superseded`, `stopped`, or `running`."""
    manager_name: str | None = None
    started_on: datetime | None = None
    error_type: str | None = None
    error_class: str | None = None
    error_message: str | None = None
    comment: str | None = None


class WaitingCount(msgspec.Struct, kw_only=True):
    """How many records wait under one tag for the same programs."""

    compute_tag: str
    programs: list[str]
    count: int


class Counts(msgspec.Struct, kw_only=True):
    """How much there is, and what it waits for."""

    records: list[StatusCount]
    waiting: list[WaitingCount]


def _row(name: str, method: str, path: str, may: str, answer: Any, doc: str, **more: Any) -> Endpoint:
    return Endpoint(
        name=f"records.{name}", method=method, path=f"/api/v1/records{path}", may=may, answer=answer, doc=doc, **more
    )


_SOME = {"ids": [1], "missing_ok": True}
_FINISHED = {"status": ["complete", "error"], "limit": 10}

BULK_GET = _row(
    "bulk_get",
    "POST",
    "/bulkGet",
    "records:read",
    list[Record | None],
    "Records by id, in order.",
    body=BulkGet,
    example=_SOME,
)
GET = _row("get", "GET", "/{record_id:int}", "records:read", Record, "One record.", query=Projection)
QUERY = _row(
    "query",
    "POST",
    "/query",
    "records:read",
    list[int],
    "Ids that fit, newest first.",
    body=SelectionQuery,
    example=_FINISHED,
)
MODIFY = _row(
    "modify",
    "PATCH",
    "",
    "records:modify",
    UpdateMetadata,
    "New status, tag, priority, comment.",
    body=RecordModify,
    example={"record_ids": [1], "comment": "to be looked at"},
)
REVERT = _row(
    "revert",
    "POST",
    "/revert",
    "records:modify",
    UpdateMetadata,
    "Take an action back.",
    body=RecordRevert,
    example={"record_ids": [1], "revert_status": "cancelled"},
)
BULK_DELETE = _row(
    "bulk_delete",
    "POST",
    "/bulkDelete",
    "records:delete",
    DeleteMetadata,
    "Delete records.",
    body=RecordDelete,
    example={"record_ids": [1], "soft_delete": True, "delete_children": True},
)
DELETE = _row(
    "delete", "DELETE", "/{record_id:int}", "records:delete", DeleteMetadata, "Soft-delete one record and its children."
)
WAITING_REASON = _row(
    "waiting_reason", "GET", "/{record_id:int}/waiting_reason", "records:read", WaitingReason, "Why a record waits."
)
COUNT = _row(
    "count",
    "POST",
    "/count",
    "records:read",
    list[StatusCount],
    "How many records fit, by kind and status.",
    body=Selection,
    example={"program": ["pyscf"]},
)
TIMELINE = _row(
    "timeline",
    "GET",
    "/{record_id:int}/history",
    "records:read",
    list[HistoryEvent],
    "All that happened to a record, oldest first: attempts (lost ones too), what people did, comments.",
)
COUNTS = _row("counts", "GET", "/counts", "records:read", Counts, "How many records there are, by kind and status.")

ENDPOINTS = (BULK_GET, GET, QUERY, MODIFY, REVERT, BULK_DELETE, DELETE, WAITING_REASON, COUNT, TIMELINE, COUNTS)


@cache
def for_kind(kind: Kind) -> tuple[Endpoint, ...]:
    """All endpoints of one kind."""
    record, one = record_type(kind), f"/{kind.name}/{{record_id:int}}"
    history = one + "/compute_history"
    entry = history + "/{history_id:int}"
    output = entry + "/outputs/{output_type}"

    def row(name: str, method: str, path: str, may: str, answer: Any, doc: str, **more: Any) -> Endpoint:
        return _row(name, method, path, may, answer, doc, kind=kind, **more)

    def read(name: str, path: str, answer: Any, doc: str, **more: Any) -> Endpoint:
        return row(name, "GET", path, "records:read", answer, doc, **more)

    rows = (
        []
        if kind.internal
        else [
            row(
                "add",
                "POST",
                f"/{kind.name}/bulkCreate",
                "records:add",
                tuple[InsertMetadata, list[int]],
                f"Add {kind.name} records; a computation that is there already keeps its record.",
                body=add_type(kind),
                example=dict(kind.example) or None,
            ),
        ]
    )
    rows += [
        row(
            "bulk_get",
            "POST",
            f"/{kind.name}/bulkGet",
            "records:read",
            list[record | None],  # type: ignore[valid-type]
            f"{kind.name} records by id, in order.",
            body=BulkGet,
            example=_SOME,
        ),
        row(
            "query",
            "POST",
            f"/{kind.name}/query",
            "records:read",
            list[int],
            f"Ids of the {kind.name} records that fit, newest first.",
            body=query_type(kind),
            example=_FINISHED,
        ),
        read("get", one, record, f"One {kind.name} record.", query=Projection),
        read("task", one + "/task", RecordTask | None, "The record's task, while it has one."),
        read("service", one + "/service", RecordService | None, "The record's service, while it has one."),
        read("comments", one + "/comments", list[RecordComment], "Comments, oldest first."),
        read("history", history, list[ComputeHistory], "Attempts that returned something, oldest first."),
        read("history_entry", entry, ComputeHistory, "One attempt."),
        read("outputs", entry + "/outputs", dict[str, OutputStore], "Outputs of an attempt, without data."),
        read("output", output, OutputStore, "One output, without data."),
        read("output_data", output + "/data", tuple[Bytes, str], "One output, compressed."),
        read("output_value", output + "/uncompressed_data", Any, "One output, unpacked."),
        read("native_files", one + "/native_files", dict[str, NativeFile] | None, "Native files, without data."),
        read("native_file", one + "/native_files/{name}", NativeFile, "One native file, without data."),
        read("native_file_data", one + "/native_files/{name}/data", tuple[Bytes, str], "A native file, compressed."),
        read("native_file_value", one + "/native_files/{name}/uncompressed_data", Any, "A native file, unpacked."),
        read("children_status", one + "/children_status", dict[str, int], "Direct children by status."),
        read("children_errors", one + "/children_errors", list[int], "Direct children that failed."),
    ]
    if kind.has_wavefunction:
        rows.append(read("wavefunction", one + "/wavefunction", Wavefunction | None, "Whether one is stored."))
        rows.append(read("wavefunction_data", one + "/wavefunction/data", tuple[Bytes, str], "It, compressed."))
    rows += [
        read("children", f"{one}/{c.name}", list[int], f"Ids of the {c.name}, in order.", role=c.name)
        for c in kind.children
    ]
    rows += [
        read("view", f"{one}/{view.path}", view.answer, view.doc, role=view.name) for view in kind.views if view.path
    ]
    if kind.is_service:
        rows.append(read("progress", one + "/progress", FlowProgress, "How far the server is with the record."))
    return tuple(rows)
