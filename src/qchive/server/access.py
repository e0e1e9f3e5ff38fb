"""Who may do what: the protocol's roles, and the check that every endpoint goes through (`transport.md` §9)."""

from __future__ import annotations

import msgspec

from qchive.errors import Forbidden

_EVERYTHING = frozenset({"read", "add", "modify", "delete", "claim", "return"})
_CHANGE = frozenset({"read", "add", "modify", "delete"})
_READ = frozenset({"read"})
_SERVER = ("access_log", "server_errors", "internal_jobs")
"""What a server notes of itself."""

ROLES: dict[str, dict[str, frozenset[str]]] = {
    "admin": {
        r: _EVERYTHING
        for r in ("information", "me", "users", "groups", "managers", "records", "datasets", "tasks", *_SERVER)
    },
    "maintain": {
        "information": frozenset({"read", "modify"}),
        "me": _CHANGE,
        "users": _READ,
        "groups": _CHANGE,
        "managers": _READ,
        "records": _CHANGE,
        "datasets": _CHANGE,
        **dict.fromkeys(_SERVER, _CHANGE),
    },
    "monitor": {
        "information": _READ,
        "me": _CHANGE,
        "managers": _READ,
        "records": _READ,
        "datasets": _READ,
        **dict.fromkeys(_SERVER, _READ),
    },
    "submit": {"information": _READ, "me": _CHANGE, "managers": _READ, "records": _CHANGE, "datasets": _CHANGE},
    "read": {"information": _READ, "me": _CHANGE, "managers": _READ, "records": _READ, "datasets": _READ},
    "anonymous": {"information": _READ, "managers": _READ, "records": _READ, "datasets": _READ},
    "compute": {
        "information": _READ,
        "me": _CHANGE,
        "managers": frozenset({"add", "modify"}),
        "tasks": frozenset({"claim", "return"}),
    },
}
"""Role → resource → actions. What is missing is denied."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks. Without accounts everybody is the administrator, and nobody has a name."""

    role: str = "admin"
    username: str | None = None


def check(caller: Caller, may: str | None) -> None:
    """Let the caller pass, or not.

    Raises:
        Forbidden: the role does not hold the permission.
    """
    if may is None:
        return
    resource, action = may.split(":")
    if action not in ROLES.get(caller.role, {}).get(resource, ()):
        raise Forbidden(
            f"Forbidden: Role '{caller.role}' is not authorized to use action '{action}' on resource '{resource}'",
            user_id=None,
            username=caller.username,
        )
