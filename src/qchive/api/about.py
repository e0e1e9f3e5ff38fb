"""Asking a server what it is (`transport.md` §3, §12)."""

from __future__ import annotations

from typing import Any

import msgspec

from qchive.api.endpoint import Endpoint, Text

LIMITS: dict[str, int] = {
    "get_records": 1000,
    "add_records": 500,
    "get_dataset_entries": 2000,
    "get_molecules": 1000,
    "add_molecules": 1000,
    "get_managers": 1000,
    "manager_tasks_claim": 200,
    "manager_tasks_return": 10,
    "get_access_logs": 1000,
    "get_error_logs": 100,
    "get_internal_jobs": 1000,
}
"""How many items one request may carry, as clients of this protocol know the names."""


class Information(msgspec.Struct, kw_only=True):
    """What clients and managers must know before anything else."""

    name: str
    version: str
    """The protocol release this server speaks; existing clients compare their own version with it."""
    qchive_version: str | None = None
    """Ours; other servers of this protocol have none."""
    api_limits: dict[str, int]
    manager_heartbeat_frequency: int
    manager_heartbeat_frequency_jitter: float = 0.0
    manager_heartbeat_max_missed: int
    client_version_lower_limit: str = "0.50"
    client_version_upper_limit: str = "1.00"
    manager_version_lower_limit: str = "0.50"
    manager_version_upper_limit: str = "1.00"
    motd: str = ""


class Asker(msgspec.Struct, kw_only=True):
    """Who is logged in."""

    user_id: int
    username: str
    role: str
    groups: list[str]


class Ping(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether the server answers, and to whom."""

    success: bool
    authorized: bool
    """Whether more than this can be read."""
    user_info: Asker | None = None
    """Left out if nobody is logged in."""


PING = Endpoint(
    name="about.ping", method="GET", path="/api/v1/ping", may=None, answer=Ping, doc="Whether the server answers."
)
INFORMATION = Endpoint(
    name="about.information",
    method="GET",
    path="/api/v1/information",
    may="information:read",
    answer=Information,
    doc="Name, version, limits and heartbeat rules of this server.",
)
COMPUTE_INFORMATION = Endpoint(
    name="about.information",
    method="GET",
    path="/compute/v1/information",
    may="information:read",
    answer=Information,
    doc="The same, for compute managers.",
)
OPENAPI = Endpoint(
    name="about.openapi",
    method="GET",
    path="/api/v1/openapi_spec",
    may=None,
    answer=dict[str, Any],
    doc="The OpenAPI document of this server.",
)
ALL_ROUTES = Endpoint(
    name="about.all_routes",
    method="GET",
    path="/api/v1/all_routes",
    may=None,
    answer=dict[str, Any],
    doc="Every address with its methods and the permission each needs.",
)
MOTD = Endpoint(
    name="about.motd",
    method="GET",
    path="/api/v1/motd",
    may="information:read",
    answer=str,
    doc="The message of the day.",
)
SET_MOTD = Endpoint(
    name="about.set_motd",
    method="PUT",
    path="/api/v1/motd",
    may="information:modify",
    body=Text,
    answer=None,
    doc="Change the message of the day; an empty one is none.",
)

ENDPOINTS = (PING, INFORMATION, COMPUTE_INFORMATION, OPENAPI, ALL_ROUTES, MOTD, SET_MOTD)
