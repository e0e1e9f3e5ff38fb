"""Every endpoint for every role and every credential, against the protocol's own table."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jwt
import msgspec
import pytest
from tests.accounts import KEY, PEOPLE, SECURE, api_token, as_user, bearing, secure, tokens
from tests.archive import Archive
from tests.factories import Http, http, sql

from qchive.api import Endpoint, endpoints
from qchive.server.access import ROLES

ROWS = endpoints()
IDS = [f"{row.method} {row.path}" for row in ROWS]

# transport.md §9, for the resources that exist: role -> resource -> actions.
READ, CHANGE = {"read"}, {"read", "add", "modify", "delete"}
ALL = {"read", "add", "modify", "delete", "claim", "return"}
SERVER = ("access_log", "server_errors", "internal_jobs")
MATRIX: dict[str, dict[str, set[str]]] = {
    "admin": dict.fromkeys(
        ("information", "me", "users", "groups", "managers", "records", "datasets", "tasks", *SERVER), ALL
    ),
    "maintain": {
        "information": {"read", "modify"},
        "me": CHANGE,
        "users": READ,
        "groups": CHANGE,
        "managers": READ,
        "records": CHANGE,
        "datasets": CHANGE,
        **dict.fromkeys(SERVER, CHANGE),
    },
    "monitor": {
        "information": READ,
        "me": CHANGE,
        "managers": READ,
        "records": READ,
        "datasets": READ,
        **dict.fromkeys(SERVER, READ),
    },
    "submit": {"information": READ, "me": CHANGE, "managers": READ, "records": CHANGE, "datasets": CHANGE},
    "read": {"information": READ, "me": CHANGE, "managers": READ, "records": READ, "datasets": READ},
    "anonymous": {"information": READ, "managers": READ, "records": READ, "datasets": READ},
    "compute": {
        "information": READ,
        "me": CHANGE,
        "managers": {"add", "modify"},
        "tasks": {"claim", "return"},
    },
}
PUBLIC = {
    ("GET", "/api/v1/ping"),
    ("GET", "/api/v1/openapi_spec"),
    ("GET", "/api/v1/all_routes"),
    ("POST", "/auth/v1/login"),
    ("POST", "/auth/v1/refresh"),
    ("POST", "/auth/v1/session_login"),
    ("POST", "/auth/v1/session_logout"),
}
"""All that may be asked by whoever finds the server."""

# transport.md §9, §10 and managers-and-tasks.md §1: what each request needs; every other one about records and
# molecules that reads needs records:read.
NEEDS = {
    ("GET", "information"): "information:read",
    ("GET", "motd"): "information:read",
    ("PUT", "motd"): "information:modify",
    ("GET", "server_stats"): "information:read",
    ("POST", "access_logs/query"): "access_log:read",
    ("GET", "access_logs/summary"): "access_log:read",
    ("POST", "access_logs/bulkDelete"): "access_log:delete",
    ("POST", "server_errors/query"): "server_errors:read",
    ("POST", "server_errors/bulkDelete"): "server_errors:delete",
    ("POST", "managers"): "managers:add",
    ("PATCH", "managers/{}"): "managers:modify",
    ("GET", "managers/{}"): "managers:read",
    ("POST", "managers/bulkGet"): "managers:read",
    ("POST", "managers/query"): "managers:read",
    ("POST", "managers/queryActive"): "managers:read",
    ("POST", "tasks/claim"): "tasks:claim",
    ("POST", "tasks/return"): "tasks:return",
    ("POST", "records/{}/bulkCreate"): "records:add",
    ("PATCH", "records"): "records:modify",
    ("POST", "records/revert"): "records:modify",
    ("DELETE", "records/{}"): "records:delete",
    ("POST", "records/bulkDelete"): "records:delete",
    ("POST", "molecules/bulkCreate"): "records:add",
    ("POST", "molecules/fromFiles"): "records:add",
    ("PATCH", "molecules/{}"): "records:modify",
    ("DELETE", "molecules/{}"): "records:delete",
    ("POST", "molecules/bulkDelete"): "records:delete",
    ("GET", "groups"): "groups:read",
    ("POST", "groups"): "groups:add",
    ("GET", "groups/{}"): "groups:read",
    ("DELETE", "groups/{}"): "groups:delete",
    ("GET", "users"): "users:read",
    ("POST", "users"): "users:add",
    ("PATCH", "users"): "users:modify",
    ("GET", "users/{}"): "users:read",
    ("DELETE", "users/{}"): "users:delete",
    ("PUT", "users/{}/password"): "users:modify",
    ("GET", "users/{}/preferences"): "users:read",
    ("PUT", "users/{}/preferences"): "users:modify",
    ("GET", "users/{}/sessions"): "users:read",
    ("GET", "users/{}/tokens"): "users:read",
    ("POST", "users/{}/tokens"): "users:modify",
    ("PATCH", "users/{}/tokens/{}"): "users:modify",
    ("DELETE", "users/{}/tokens/{}"): "users:modify",
    ("GET", "sessions"): "users:read",
    ("GET", "tokens"): "users:read",
    ("GET", "me"): "me:read",
    ("PATCH", "me"): "me:modify",
    ("PUT", "me/password"): "me:modify",
    ("GET", "me/preferences"): "me:read",
    ("PUT", "me/preferences"): "me:modify",
    ("GET", "me/sessions"): "me:read",
    ("GET", "me/tokens"): "me:read",
    ("POST", "me/tokens"): "me:modify",
    ("PATCH", "me/tokens/{}"): "me:modify",
    ("DELETE", "me/tokens/{}"): "me:modify",
    # Ours. What deletes, also by taking something back, needs records:delete besides, which the handler sees to.
    ("POST", "molecules/purge"): "records:delete",
    ("POST", "operations/preview"): "records:modify",
    ("POST", "operations"): "records:modify",
    ("POST", "operations/{}/undo"): "records:modify",
    ("POST", "operations/{}/stop"): "records:modify",
    ("POST", "rules"): "records:add",
    ("POST", "rules/preview"): "records:add",
    ("PATCH", "rules/{}"): "records:modify",
    ("DELETE", "rules/{}"): "records:modify",
    ("GET", "internal_jobs/{}"): "internal_jobs:read",
    ("POST", "internal_jobs/query"): "internal_jobs:read",
    ("PUT", "internal_jobs/{}/status"): "internal_jobs:modify",
    ("DELETE", "internal_jobs/{}"): "internal_jobs:delete",
}
READABLE = ("records", "molecules", "operations", "rules")

# transport.md §8.2: no API token may do these.
IN_PERSON = {
    ("POST", "users"),
    ("PATCH", "users"),
    ("DELETE", "users/{}"),
    ("PATCH", "me"),
    *(
        (method, f"{whose}/{what}")
        for whose in ("me", "users/{}")
        for method, what in (
            ("PUT", "password"),
            ("POST", "tokens"),
            ("PATCH", "tokens/{}"),
            ("DELETE", "tokens/{}"),
        )
    ),
}


def shape(row: Endpoint) -> tuple[str, str]:
    """The method, and the address without what varies."""
    path = re.sub(r"\{[^}]*\}", "{}", re.sub(r"^/(api|compute)/v1/", "", row.path))
    return row.method, path.replace(row.kind.name, "{}") if row.kind else path


def needs(row: Endpoint) -> str | None:
    if (row.method, row.path) in PUBLIC:
        return None
    method, path = shape(row)
    return NEEDS.get((method, path), "records:read" if path.split("/")[0] in READABLE else "?")


def admits(role: str, needed: str | None) -> bool:
    resource, _, action = (needed or "").partition(":")
    return needed is None or action in MATRIX[role].get(resource, set())


def address(row: Endpoint) -> str:
    """An address that fits the row, of things that do not exist."""
    return re.sub(r"\{\w+\}|\{\w+:path\}", "nothing", re.sub(r"\{\w+:int\}", "9999", row.path))


class Guarded(NamedTuple):
    """A server where one logs in, and the access tokens of all its people."""

    archive: Archive
    api: Http
    access: dict[str, str | None]

    def status(self, row: Endpoint, token: str | None) -> tuple[int, dict[str, Any]]:
        """What the server says. The body makes no sense on purpose: whoever gets to it was admitted."""
        answer = self.api.raw.request(row.method, address(row), content=b"[", headers=bearing(token))
        assert answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/json"
        reply = answer.json()
        return answer.status_code, reply if isinstance(reply, dict) else {}


@pytest.fixture(scope="module")
def guarded(databases: Any) -> Iterator[Guarded]:
    """It lets those read who have not logged in."""
    with secure(databases, msgspec.structs.replace(SECURE, allow_unauthenticated_read=True)) as archive:
        access: dict[str, str | None] = {
            role: tokens(archive.address, name)["access_token"] for name, role in PEOPLE.items()
        }
        with http(archive.address) as api:
            yield Guarded(archive, api, access | {"anonymous": None})


@pytest.fixture(scope="module")
def closed(databases: Any) -> Iterator[Guarded]:
    """It lets nobody do anything who has not logged in."""
    with secure(databases) as archive, http(archive.address) as api:
        yield Guarded(archive, api, {})


def test_the_roles_are_those_of_the_protocol() -> None:
    assert {role: {r: set(a) for r, a in may.items()} for role, may in ROLES.items()} == MATRIX


def test_only_what_is_listed_as_public_needs_no_permission() -> None:
    assert {(row.method, row.path) for row in ROWS if row.may is None} == PUBLIC


def test_every_other_permission_is_one_that_some_role_holds() -> None:
    for row in ROWS:
        if row.may is not None:
            assert any(admits(role, row.may) for role in MATRIX), row.path


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_an_endpoint_admits_exactly_the_roles_of_the_protocol(guarded: Guarded, row: Endpoint) -> None:
    needed = needs(row)
    assert row.may == needed
    for role, token in guarded.access.items():
        status, reply = guarded.status(row, token)
        admitted = admits(role, needed)
        assert (status != 403 or row.path.startswith("/auth/")) is admitted, f"{role}: {reply}"
        if not admitted:
            assert reply["code"] == "forbidden"
            assert f"Role '{role}' is not authorized to use action '{needed.split(':')[1]}'" in reply["msg"]  # type: ignore[union-attr]
            assert reply["username"] == (None if role == "anonymous" else f"{role}_user")
            assert (reply["user_id"] is None) is (role == "anonymous")


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_whoever_has_not_logged_in_sees_what_is_public_only(closed: Guarded, row: Endpoint) -> None:
    status, reply = closed.status(row, None)
    asked_to_log_in = (status, reply.get("msg")) == (401, "Server requires login")
    assert asked_to_log_in is (needs(row) is not None)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_an_api_token_does_not_give_lasting_access(guarded: Guarded, row: Endpoint) -> None:
    with as_user(guarded.archive.address, "admin_user") as admin:
        token, info = api_token(admin)
        status, reply = guarded.status(row, token)
        admin.ask("DELETE", f"/api/v1/me/tokens/{info['id']}")
    assert row.in_person is (shape(row) in IN_PERSON)
    assert ("API token" in str(reply.get("msg")) and status == 403) is row.in_person


# --- credentials that do not hold -----------------------------------------------------------------------------------


def forged(key: str = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    """A token as the server makes them, but for some changes; what is None is left out."""
    now = int(time.time())
    claims = {"type": "access", "aud": "qchive", "sub": "1", "epoch": 0, "iat": now, "exp": now + 600} | changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm)


def without_signature(token: str) -> str:
    return token.rpartition(".")[0] + "."


def of_another_user(token: str) -> str:
    """The same signature under another user's id."""
    head, body, signature = token.split(".")
    _, other, _ = forged(sub="2").split(".")
    assert body != other
    return f"{head}.{other}.{signature}"


INVALID = {
    "of no algorithm": (forged(key="", algorithm="none"), "invalid token"),
    "without its signature": (without_signature(forged()), "invalid token"),
    "signed with another key": (forged(key="another key, as long as it has to be 123"), "invalid token"),
    "signed with another algorithm": (forged(algorithm="HS512"), "invalid token"),
    "with another user's id": (of_another_user(forged()), "invalid token"),
    "to refresh with": (forged(type="refresh"), "invalid token"),
    "of no type": (forged(type=None), "invalid token"),
    "for somebody else's server": (forged(aud="elsewhere"), "invalid token"),
    "for nobody": (forged(aud=None), "invalid token"),
    "without an end": (forged(exp=None), "invalid token"),
    "that has expired": (forged(exp=1_000_000_000), "Token has expired"),
    "of a user who is not there": (forged(sub="123456"), "User does not exist"),
    "that is no token": ("rubbish", "invalid token"),
    "that is an unknown API token": ("qcf_" + "x" * 43, "API token does not exist, is not valid, or is expired"),
    "that is too long for an API token": ("qcf_" + "x" * 500, "API token does not exist"),
    "with signs that no API token has": ("qcf_a'b", "API token does not exist"),
}


def test_the_forger_knows_how_tokens_are_made(guarded: Guarded) -> None:
    row = next(row for row in ROWS if row.path == "/api/v1/me")
    assert guarded.status(row, forged())[0] == 200


@pytest.mark.parametrize("which", INVALID)
def test_a_token_that_does_not_hold_opens_nothing(guarded: Guarded, which: str) -> None:
    token, said = INVALID[which]
    for row in ROWS:
        if row.path.startswith("/auth/"):
            continue  # looks at no credentials; refreshing has its own tests
        status, reply = guarded.status(row, token)
        assert (status, reply["code"]) == (401, "authentication_required"), row.path
        assert said in reply["msg"]
        assert ("Token has expired" in reply["msg"]) is (which == "that has expired"), "clients renew at these words"


@pytest.mark.parametrize(
    "header", ["", "Basic YWRtaW46cGFzc3dvcmQ=", "Bearer", "Bearer a b", "Token qcf_x", "Bearer " + "x" * 9000]
)
def test_a_header_that_is_no_token_is_not_overlooked(guarded: Guarded, header: str) -> None:
    for path in ("ping", "information", "records/query"):
        answer = guarded.api.raw.get(f"/api/v1/{path}", headers={"Authorization": header})
        if path != "records/query":
            assert answer.status_code == 401
            assert "unsupported or invalid Authorization header" in answer.json()["msg"]


def test_what_is_taken_away_is_away_at_once_everywhere(guarded: Guarded) -> None:
    """For every endpoint: a revoked API token, and the tokens of an account that is disabled, then removed."""
    rows = [row for row in ROWS if not row.path.startswith("/auth/")]
    with as_user(guarded.archive.address, "admin_user") as admin:
        admin.post("users", [{"username": "guest", "role": "admin", "enabled": True}, "guests come and go"])
        with as_user(guarded.archive.address, "guest", "guests come and go") as guest:
            access = str(guest.raw.headers["authorization"]).removeprefix("Bearer ")
            kept, revoked = api_token(guest, "kept")[0], api_token(guest, "revoked")
            guest.ask("DELETE", f"/api/v1/me/tokens/{revoked[1]['id']}")
        me = admin.get("users/guest")

        def refused(token: str, said: str) -> None:
            for row in rows:
                status, reply = guarded.status(row, token)
                assert (status, said in reply["msg"]) == (401, True), f"{row.path}: {reply}"

        refused(revoked[0], "API token does not exist")
        admin.patch("users", me | {"enabled": False})
        for token in (access, kept):
            refused(token, "User guest is disabled.")
        admin.patch("users", me)
        assert guarded.status(rows[0], kept)[0] == 200
        admin.ask("DELETE", "/api/v1/users/guest")
        refused(access, "User does not exist")
        refused(kept, "API token does not exist")
    assert sql(guarded.archive.conninfo, "SELECT * FROM api_token WHERE name = 'kept'") == []
