"""What a server has noted: who asked for what, what went wrong inside, what was computed (`transport.md` §11, §12)."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from qchive.api.endpoint import Body, Endpoint, Page, Text


class GroupByEnum(StrEnum):
    """What a summary of accesses is divided by. Days and hours are those of UTC."""

    user = "user"
    day = "day"
    hour = "hour"
    country = "country"
    subdivision = "subdivision"


class AccessLogEntry(msgspec.Struct, kw_only=True):
    """One request, as it was answered."""

    id: int
    timestamp: datetime
    method: str
    module: str | None
    """`api`, `compute` or `auth`; `home` for all else."""
    full_uri: str | None
    """The path alone."""
    request_duration: float | None
    """Seconds."""
    request_bytes: float | None
    response_bytes: float | None
    user: str | None
    api_token_id: int | None = None
    ip_address: str | None
    user_agent: str | None
    country_code: None = None
    subdivision: None = None
    city: None = None
    ip_lat: None = None
    ip_long: None = None
    """Older clients want these five; addresses are not looked up."""
    status: int | UnsetType = UNSET
    """The HTTP status of the answer; on request, as other clients do not expect it."""
    request_id: str | UnsetType = UNSET
    """As it stands in the logs of the server and in the header `X-Request-ID` of the answer; on request too."""


ON_REQUEST = frozenset({"status", "request_id"})
"""Fields of an access that are sent when they, or everything (`**`), are included."""


class AccessLogFilters(Page, kw_only=True):
    """Accesses by module, method, person and time; AND between filters, OR inside a list."""

    module: list[Text] | None = None
    method: list[Text] | None = None
    user: list[int | Text] | None = None
    before: datetime | None = None
    after: datetime | None = None


class AccessLogQuery(AccessLogFilters, kw_only=True):
    """Accesses that fit, or parts of them."""

    include: list[str] | None = None
    exclude: list[str] | None = None


class AccessLogSummaryQuery(Body, kw_only=True):
    """What to divide by, and the time to look at."""

    group_by: GroupByEnum = GroupByEnum.day
    before: datetime | None = None
    after: datetime | None = None


class AccessLogSummaryEntry(msgspec.Struct, kw_only=True):
    """The accesses of one group, module and method."""

    module: str | None
    method: str
    count: int
    request_duration_info: list[float]
    """Seconds: least, 25 %, 50 %, 75 %, 95 %, most."""
    response_bytes_info: list[float]
    """The same six."""


class Before(Body, kw_only=True):
    """Everything strictly before a time."""

    before: datetime


class ErrorLogEntry(msgspec.Struct, kw_only=True):
    """An error that nobody foresaw, and the request that it came up in."""

    id: int
    """As the answer named it."""
    error_date: datetime
    qcfractal_version: str
    """The release of QCHive; the name is the protocol's."""
    error_text: str | None
    user: str | None
    request_path: str | None
    request_headers: str | None
    """As JSON, credentials removed."""
    request_body: str | None
    """The beginning; a description where it may hold a password."""


class ErrorLogQuery(Page, kw_only=True):
    """Errors by id, person and time."""

    error_id: list[int] | None = None
    user: list[int | Text] | None = None
    before: datetime | None = None
    after: datetime | None = None


class ServerStatsEntry(msgspec.Struct, kw_only=True):
    """A day of the archive, in UTC."""

    date: dt.date
    record_count: int
    """Computations that finished on that day, of records that are complete now."""
    cpu_hours: float
    """What these took: wall time times threads."""
    database_size: int
    """Bytes."""
    record_count_details: dict[str, dict[str, int]]
    """All records by kind and status, at the end of that day."""
    timestamp: datetime


ACCESS_QUERY = Endpoint(
    name="access_log.query",
    method="POST",
    path="/api/v1/access_logs/query",
    may="access_log:read",
    body=AccessLogQuery,
    answer=list[AccessLogEntry],
    doc="The requests that fit, newest first.",
    example={"module": ["api"], "limit": 10},
)
ACCESS_SUMMARY = Endpoint(
    name="access_log.summary",
    method="GET",
    path="/api/v1/access_logs/summary",
    may="access_log:read",
    query=AccessLogSummaryQuery,
    answer=dict[str, list[AccessLogSummaryEntry]],
    doc="How many requests there were, how long they took and how large the answers were.",
)
ACCESS_DELETE = Endpoint(
    name="access_log.delete",
    method="POST",
    path="/api/v1/access_logs/bulkDelete",
    may="access_log:delete",
    body=Before,
    answer=int,
    doc="Remove what was noted of requests before a time; how many there were.",
)
ERROR_QUERY = Endpoint(
    name="error_log.query",
    method="POST",
    path="/api/v1/server_errors/query",
    may="server_errors:read",
    body=ErrorLogQuery,
    answer=list[ErrorLogEntry],
    doc="The unforeseen errors that fit, newest first.",
    example={"limit": 10},
)
ERROR_DELETE = Endpoint(
    name="error_log.delete",
    method="POST",
    path="/api/v1/server_errors/bulkDelete",
    may="server_errors:delete",
    body=Before,
    answer=int,
    doc="Remove the errors before a time; how many there were.",
)
STATISTICS = Endpoint(
    name="statistics.days",
    method="GET",
    path="/api/v1/server_stats",
    may="information:read",
    answer=list[ServerStatsEntry],
    doc="What was computed on each day.",
)

ENDPOINTS = (ACCESS_QUERY, ACCESS_SUMMARY, ACCESS_DELETE, ERROR_QUERY, ERROR_DELETE, STATISTICS)
