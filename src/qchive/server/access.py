"""Who may do what: the protocol's roles, and the check that every endpoint goes through (`transport.md` §9)."""

from __future__ import annotations

import msgspec

from qchive.api.endpoint import Endpoint
from qchive.api.tokens import Scope
from qchive.errors import AuthenticationRequired, Forbidden
from qchive.server.settings import Settings

_EVERYTHING = frozenset({"read", "add", "modify", "delete", "claim", "return"})
_CHANGE = frozenset({"read", "add", "modify", "delete"})
_READ = frozenset({"read"})
_SERVER = ("access_log", "server_errors", "internal_jobs")
"""What a server notes of itself."""

ADMINISTRATOR = "admin"
"""The role that may do everything; there is always an account that has it and can log in."""

ROLES: dict[str, dict[str, frozenset[str]]] = {
    ADMINISTRATOR: {
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

NOBODY = "anonymous"
"""The role of whoever has not logged in; no account can have it."""

OF_ACCOUNTS = frozenset({"users", "groups", "me"})
"""Resources that only exist where people log in: otherwise everybody could prepare their own way in."""

_WITHIN_TAGS = {"records": frozenset({"read", "add"}), "tasks": _EVERYTHING, "managers": _EVERYTHING}
"""What can be limited to compute tags; of all else, such a token may only look."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks. Where nobody logs in, everybody is the administrator and has no name."""

    role: str = ADMINISTRATOR
    username: str | None = None
    user_id: int | None = None
    scope: Scope | None = None
    """What the API token that was shown may do; None if it was none."""
    token_id: int | None = None
    """That API token."""

    @property
    def owner(self) -> str | None:
        """Whose compute managers the caller may speak for; None: everybody's."""
        return None if self.role == ADMINISTRATOR else self.username


ANYBODY = Caller(NOBODY)
"""Somebody who has not logged in."""


def admit(caller: Caller, endpoint: Endpoint, settings: Settings) -> None:
    """Let the caller through to an endpoint, or not.

    Raises:
        AuthenticationRequired: nobody is logged in, or nobody can log in here.
        Forbidden: the role or the API token does not allow it.
    """
    if endpoint.may is None:
        return
    resource = endpoint.may.partition(":")[0]
    if resource in OF_ACCOUNTS and not settings.secure:
        raise AuthenticationRequired(f"Cannot access '{resource}' with security disabled", **_who(caller))
    if caller is ANYBODY and not settings.allow_unauthenticated_read:
        raise AuthenticationRequired("Server requires login", **_who(caller))
    if endpoint.in_person and caller.scope is not None:
        raise Forbidden("Forbidden: this cannot be done with an API token: log in with a password", **_who(caller))
    check(caller, endpoint.may)


def check(caller: Caller, may: str) -> None:
    """Let the caller do something, or not.

    Raises:
        Forbidden: the role does not hold the permission, or the API token does not.
    """
    resource, action = may.split(":")
    if action not in ROLES.get(caller.role, {}).get(resource, ()):
        raise Forbidden(
            f"Forbidden: Role '{caller.role}' is not authorized to use action '{action}' on resource '{resource}'",
            **_who(caller),
        )
    if caller.scope is not None and not _within(caller.scope, resource, action):
        raise Forbidden(
            f"Forbidden: an API token of the scope '{caller.scope}' is not authorized to use action '{action}' on "
            f"resource '{resource}'",
            **_who(caller),
        )


def _within(scope: Scope, resource: str, action: str) -> bool:
    if scope.what == "read":
        return action == "read"
    if scope.what == "compute" and action not in ROLES["compute"].get(resource, ()):
        return False
    return (not scope.tags and scope.what == "unlimited") or action in _WITHIN_TAGS.get(resource, _READ)


def check_tag(caller: Caller, tag: str) -> None:
    """Let the caller add computations under a compute tag, or not.

    Raises:
        Forbidden: the API token is limited to others.
    """
    if caller.scope is not None and caller.scope.tags and tag not in caller.scope.tags:
        allowed = ", ".join(caller.scope.tags)
        raise Forbidden(
            f"Forbidden: this API token may not use the compute tag {tag!r}, only {allowed}", **_who(caller)
        )


def _who(caller: Caller) -> dict[str, int | str | None]:
    return {"user_id": caller.user_id, "username": caller.username}
