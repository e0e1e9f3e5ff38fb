"""A request, declared once: the server's route and permission check, the client's call, the OpenAPI document and the
documentation test all read the same row."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from qchive.kinds.kind import Id, Kind
from qchive.status import PriorityEnum

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*$", examples=["text"])]
"""Text that PostgreSQL can hold: anything without NUL."""

Tag = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")]
"""The name of a queue; longer ones would not fit PostgreSQL's index."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked."""

    name: str
    """`noun.verb`, the name of the handler."""
    method: str
    path: str
    """With `{name}` for parts that vary; `{name:int}` and `{name:path}` as Starlette has them."""
    may: str | None
    """`resource:action` that the caller's role must hold; None: open to everybody."""
    doc: str
    body: Any = None
    query: type[msgspec.Struct] | None = None
    answer: Any = None
    kind: Kind | None = None
    role: str = ""
    """Of an endpoint that lists children: which."""
    upload: bool = False
    """Whether the body is multipart, with files beside the structured part."""
    form: bool = False
    """Whether the body may also come as a browser's form."""
    in_person: bool = False
    """Whether API tokens are refused, whatever they may do otherwise: it could give somebody lasting access."""
    example: Any = None
    """A body to try, as the description of the API shows it; a test sends it."""


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request body. Unknown keys are refused, so that a misspelt option is noticed."""


class Projection(Body, kw_only=True):
    """Which parts of an object are wanted (`records.md` §5)."""

    include: list[str] | None = None
    exclude: list[str] | None = None


class BulkGet(Projection, kw_only=True):
    """Objects by id, in the order asked for."""

    ids: list[Id]
    missing_ok: bool = False


class Page(Body, kw_only=True):
    """One page of a query: newest first, ids below the cursor."""

    limit: Count | None = None
    cursor: Id | None = None


def legacy(new: Any, old: Any, default: Any) -> Any:
    """The value of a field that older clients send under another name."""
    if old is not UNSET and old is not None:
        return old
    return default if new is UNSET or new is None else new


class Queue(Body, kw_only=True):
    """Where a task waits: its tag and priority, under their present or their older names."""

    compute_tag: Tag | UnsetType | None = UNSET
    compute_priority: int | str | UnsetType | None = UNSET
    tag: Tag | UnsetType | None = UNSET
    priority: int | str | UnsetType | None = UNSET

    @property
    def queue_tag(self) -> str | None:
        """The tag asked for, lower-case; None if none is given."""
        tag = legacy(self.compute_tag, self.tag, None)
        return tag.lower() if tag else None

    @property
    def queue_priority(self) -> PriorityEnum | None:
        """The priority asked for; None if none is given."""
        value = legacy(self.compute_priority, self.priority, None)
        return None if value is None else PriorityEnum.of(value)

    def __post_init__(self) -> None:
        self.queue_priority  # noqa: B018 - refuses a priority that does not exist, while the body is decoded
