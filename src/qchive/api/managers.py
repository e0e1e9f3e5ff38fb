"""Compute managers: announcing themselves, staying alive, being looked at (`managers-and-tasks.md` §2–5, §13)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from qchive.api.endpoint import Body, Endpoint, Page, Projection, Tag, Text
from qchive.kinds.kind import Id

NamePart = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00/]*$")]

Figure = Annotated[float, Meta(ge=0, le=1e300)]
"""A number that is one: neither NaN nor infinite."""


class ManagerStatusEnum(StrEnum):
    """Whether a manager is expected to show signs of life."""

    active = "active"
    inactive = "inactive"

    @classmethod
    def _missing_(cls, value: object) -> ManagerStatusEnum | None:
        lower = str(value).lower()
        return next((s for s in cls if s.value == lower), None)


class ManagerName(Body, kw_only=True):
    """Who a manager is: where it runs, and which of its lives this is."""

    cluster: NamePart
    hostname: NamePart
    uuid: NamePart

    @property
    def fullname(self) -> str:
        """The name as it stands in addresses and on records."""
        return f"{self.cluster}-{self.hostname}-{self.uuid}"


Programs = dict[Text, list[Text | None] | None]


def lower_programs(programs: Programs) -> dict[str, list[str]]:
    return {
        name.lower(): [v.lower() for v in versions or () if v is not None]
        for name, versions in programs.items()
        if name
    }


def lower_tags(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tag.lower() for tag in tags if tag))


class Offer(Body, kw_only=True):
    """What a manager can run and whom for: program → versions, and tags in order of preference."""

    name_data: ManagerName
    programs: Programs
    compute_tags: list[Tag] | None = None
    tags: list[Tag] | None = None
    """The older name of `compute_tags`."""

    @property
    def offered_programs(self) -> dict[str, list[str]]:
        """Programs, lower-case, without empty names."""
        return lower_programs(self.programs)

    @property
    def offered_tags(self) -> list[str]:
        """Tags, lower-case, without empty ones and repeats, in the order given."""
        return lower_tags(self.compute_tags if self.compute_tags is not None else self.tags or [])


class Activation(Offer, kw_only=True):
    """A manager announces itself."""

    manager_version: Text
    username: Text | None = None

    def __post_init__(self) -> None:
        if not self.offered_programs:
            raise ValueError("a manager needs at least one program")
        if not self.offered_tags:
            raise ValueError("a manager needs at least one compute tag")


class ManagerUpdate(Body, kw_only=True):
    """A heartbeat, or with status `inactive` a farewell."""

    status: ManagerStatusEnum
    active_tasks: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    active_cores: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    active_memory: Figure
    """GiB."""
    total_cpu_hours: Figure
    running: list[Id] | None = None
    """Task ids of all that the manager holds: waiting to run, running, finished but not yet returned. Optional, ours:
    when given, the answer says which of them to stop, and what the server thinks it holds beyond them is freed."""
    lost: bool = False
    """With `inactive`, ours: the manager did not leave in good order, so its attempts count as lost."""


class Heartbeat(msgspec.Struct, kw_only=True):
    """The answer to a heartbeat that lists its running tasks."""

    stop: list[int]
    """Tasks that nobody wants any more: cancelled, deleted, or being run elsewhere."""


ALWAYS = ("id", "name")
"""What is told of a manager, whatever is asked for."""


class Manager(msgspec.Struct, kw_only=True):
    """A compute manager as the server knows it; times of `modified_on` are its last sign of life."""

    id: int
    name: str
    cluster: str
    hostname: str
    username: str | None
    tags: list[str]
    claimed: int
    successes: int
    failures: int
    rejected: int
    total_cpu_hours: float
    active_tasks: int
    active_cores: int
    active_memory: float
    status: ManagerStatusEnum
    created_on: datetime
    modified_on: datetime
    manager_version: str
    programs: dict[str, list[str]]

    @property
    def compute_tags(self) -> list[str]:
        """The same as `tags`."""
        return self.tags


class ManagersGet(Projection, kw_only=True):
    """Managers by name, in the order asked for."""

    names: list[Text]
    missing_ok: bool = False


class ManagerQuery(Page, kw_only=True):
    """Managers by id, name, place, status or last sign of life; AND between filters, OR inside a list."""

    manager_id: list[Id] | None = None
    name: list[Text] | None = None
    cluster: list[Text] | None = None
    hostname: list[Text] | None = None
    status: list[ManagerStatusEnum] | None = None
    modified_before: datetime | None = None
    modified_after: datetime | None = None
    include: list[str] | None = None
    exclude: list[str] | None = None


class ActiveQuery(Body, kw_only=True):
    """Which active managers would run something of this tag and these programs?"""

    programs: Programs
    compute_tag: list[Text] | None = None
    tag: list[Text] | None = None
    """The older name of `compute_tag`."""


ACTIVATE = Endpoint(
    name="managers.activate",
    method="POST",
    path="/compute/v1/managers",
    may="managers:add",
    body=Activation,
    answer=int,
    doc="A compute manager announces itself. Saying the same again is harmless.",
)
UPDATE = Endpoint(
    name="managers.update",
    method="PATCH",
    path="/compute/v1/managers/{name:path}",
    may="managers:modify",
    body=ManagerUpdate,
    answer=Heartbeat | None,
    doc="A heartbeat, or the end of a manager. Null, unless the running tasks were listed.",
)
GET = Endpoint(
    name="managers.get",
    method="GET",
    path="/api/v1/managers/{name:path}",
    may="managers:read",
    query=Projection,
    answer=Manager,
    doc="One compute manager.",
)
BULK_GET = Endpoint(
    name="managers.bulk_get",
    method="POST",
    path="/api/v1/managers/bulkGet",
    may="managers:read",
    body=ManagersGet,
    answer=list[Manager | None],
    doc="Compute managers by name, in the order asked for.",
)
QUERY = Endpoint(
    name="managers.query",
    method="POST",
    path="/api/v1/managers/query",
    may="managers:read",
    body=ManagerQuery,
    answer=list[Manager],
    doc="The compute managers that fit, newest first.",
)
QUERY_ACTIVE = Endpoint(
    name="managers.query_active",
    method="POST",
    path="/api/v1/managers/queryActive",
    may="managers:read",
    body=ActiveQuery,
    answer=list[str],
    doc="Names of active managers that would run such a task.",
)

ENDPOINTS = (ACTIVATE, UPDATE, GET, BULK_GET, QUERY, QUERY_ACTIVE)
