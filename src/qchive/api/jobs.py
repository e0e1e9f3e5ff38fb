"""Internal jobs: what the server does for itself, to be looked at, cancelled and removed (`internal-jobs.md`)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from qchive.api.endpoint import Endpoint, Page, Text
from qchive.kinds.kind import Id


class InternalJobStatusEnum(StrEnum):
    """Where a job is in its life."""

    waiting = "waiting"
    running = "running"
    complete = "complete"
    error = "error"
    cancelled = "cancelled"

    @classmethod
    def _missing_(cls, value: object) -> InternalJobStatusEnum | None:
        lower = str(value).lower()
        return next((s for s in cls if s.value == lower), None)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to such a job."""
        return self not in (InternalJobStatusEnum.waiting, InternalJobStatusEnum.running)


class Job(msgspec.Struct, kw_only=True):
    """A job of the server."""

    id: int
    name: str
    status: InternalJobStatusEnum
    added_date: datetime
    scheduled_date: datetime
    """It does not start before."""
    started_date: datetime | None
    last_updated: datetime | None
    """When its runner last gave a sign of life."""
    ended_date: datetime | None
    runner_hostname: str | None
    runner_uuid: str | None
    repeat_delay: int | None
    """Seconds after its end until the same job comes again; None: it does not."""
    serial_group: str | None
    """Of all jobs of a group one runs at a time."""
    progress: int
    """Percent."""
    progress_description: str | None = None
    function: str
    kwargs: dict[str, Any]
    after_function: None = None
    after_function_kwargs: None = None
    """Older clients want both of these."""
    result: Any
    """What the function answered, or what went wrong."""
    user: str | None
    """Who caused it."""


class JobFilters(Page, kw_only=True):
    """Jobs by id, name, person, place, status or times; AND between filters, OR inside a list."""

    job_id: list[Id] | None = None
    name: list[Text] | None = None
    user: list[int | Text] | None = None
    runner_hostname: list[Text] | None = None
    status: list[InternalJobStatusEnum] | None = None
    last_updated_before: datetime | None = None
    last_updated_after: datetime | None = None
    added_before: datetime | None = None
    added_after: datetime | None = None
    scheduled_before: datetime | None = None
    scheduled_after: datetime | None = None


class JobQuery(JobFilters, kw_only=True):
    """Jobs that fit, or parts of them."""

    include: list[str] | None = None
    exclude: list[str] | None = None


_JOBS = "/api/v1/internal_jobs"

GET = Endpoint(
    name="jobs.get",
    method="GET",
    path=f"{_JOBS}/{{job_id:int}}",
    may="internal_jobs:read",
    answer=Job,
    doc="One internal job.",
)
QUERY = Endpoint(
    name="jobs.query",
    method="POST",
    path=f"{_JOBS}/query",
    may="internal_jobs:read",
    body=JobQuery,
    answer=list[Job],
    doc="The internal jobs that fit, newest first.",
    example={"status": ["waiting", "running"], "limit": 10},
)
SET_STATUS = Endpoint(
    name="jobs.set_status",
    method="PUT",
    path=f"{_JOBS}/{{job_id:int}}/status",
    may="internal_jobs:modify",
    body=InternalJobStatusEnum,
    answer=None,
    doc="Cancel an internal job (status `cancelled`); one that is over already stays as it is.",
    example="cancelled",
)
DELETE = Endpoint(
    name="jobs.delete",
    method="DELETE",
    path=f"{_JOBS}/{{job_id:int}}",
    may="internal_jobs:delete",
    answer=None,
    doc="Remove an internal job; one that runs is stopped.",
)

ENDPOINTS = (GET, QUERY, SET_STATUS, DELETE)
