"""API tokens: what each may do, how long, and when it was last used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.accounts import SECURE, api_token, as_token, as_user, secure
from tests.archive import Archive
from tests.factories import Http, Manager, add, make_result, sql

from qchive.api.tokens import Scope
from qchive.errors import InvalidAccount


@pytest.fixture
def server(databases: Any) -> Iterator[Archive]:
    with secure(databases) as server:
        yield server


@pytest.fixture
def admin(server: Archive) -> Iterator[Http]:
    with as_user(server.address, "admin_user") as admin:
        yield admin


def soon(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


def test_a_token_opens_the_server_and_is_listed_without_its_secret(server: Archive, admin: Http) -> None:
    token, info = api_token(admin, "laptop")
    assert len(token) == 4 + 43
    assert info["token_prefix"] == token[:12]
    assert (info["scope"], info["expires_at"], info["last_used_at"]) == ("unlimited", None, None)
    with as_token(server.address, token) as api:
        me = api.get("me")
        assert (me["username"], me["id"]) == ("admin_user", info["user_id"])
        api.raw.headers["Authorization"] = f"bEaReR {token}"
        (listed,) = api.get("me/tokens")
    assert listed == {**info, "last_used_at": listed["last_used_at"]}
    assert token[12:] not in str(listed)
    assert admin.get("tokens") == admin.get("users/admin_user/tokens") == [listed]


def test_use_is_noted_once_a_minute(server: Archive, admin: Http) -> None:
    token, _ = api_token(admin)
    with as_token(server.address, token) as api:
        used = [api.get("me/tokens")[0]["last_used_at"] for _ in range(3)]
        assert used[0] is not None
        assert len(set(used)) == 1
        sql(server.conninfo, "UPDATE api_token SET last_used_at = now() - interval '61 seconds'")
        assert api.get("me/tokens")[0]["last_used_at"] > used[0]


def test_tokens_are_renamed_and_revoked_by_their_owner_or_an_administrator(server: Archive, admin: Http) -> None:
    made = admin.post("users/read_user/tokens", {"name": "for the reader"})
    path = f"users/read_user/tokens/{made['info']['id']}"
    assert admin.patch(path, {"name": "x"})["name"] == "x"
    with as_user(server.address, "submit_user") as other:
        for method, body in (("PATCH", {"name": "y"}), ("DELETE", ...)):
            mine = other.refused(method, f"/api/v1/me/tokens/{made['info']['id']}", body)
            assert (mine.status, mine.reply["msg"]) == (400, "API token not found")
            assert other.refused(method, f"/api/v1/{path}", body).status == 403
    with as_user(server.address, "read_user") as reader:
        _, second = api_token(reader, "second")
        for method, name in (("POST", ""), ("PATCH", f"/{second['id']}")):
            taken = reader.refused(method, f"/api/v1/me/tokens{name}", {"name": "x"})
            assert "already exists" in taken.reply["msg"]
        reader.ask("DELETE", f"/api/v1/me/tokens/{made['info']['id']}")
    with as_token(server.address, made["token"]) as gone:
        assert gone.refused("GET", "/api/v1/me").status == 401


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "x" * 129},
        {"name": "nul\0"},
        {"name": "x", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "expires_at": "2999-01-01T00:00:00"},
        {"name": "x", "scope": "everything"},
        {"name": "x", "scope": ""},
        {"name": "x", "scope": None},
        {"name": "x", "unknown": 1},
    ],
)
def test_a_token_that_cannot_be_is_refused(admin: Http, body: dict[str, Any]) -> None:
    assert admin.refused("POST", "/api/v1/me/tokens", body).status == 400


def test_an_account_has_a_hundred_tokens_at_most(server: Archive, admin: Http) -> None:
    sql(
        server.conninfo,
        "INSERT INTO api_token (account_id, hash, token_prefix, name, scope)"
        " SELECT a.id, sha256(n::text::bytea), '', n::text, 'read' FROM account a, generate_series(1, 99) n"
        " WHERE a.username = 'admin_user'",
    )
    api_token(admin, "the last")
    assert "100 API tokens" in admin.refused("POST", "/api/v1/me/tokens", {"name": "x"}).reply["msg"]


def test_a_token_ends(server: Archive, admin: Http) -> None:
    token, _ = api_token(admin, expires_at=soon(minutes=1))
    with as_token(server.address, token) as api:
        assert api.get("me")
        sql(server.conninfo, "UPDATE api_token SET expires_at = now()")
        assert "is expired" in api.refused("GET", "/api/v1/me").reply["msg"]


def test_a_server_may_limit_how_long_tokens_hold(databases: Any) -> None:
    settings = msgspec.structs.replace(SECURE, api_token_default_lifetime=60, api_token_max_lifetime=3600)
    with secure(databases, settings) as server, as_user(server.address, "read_user") as reader:
        _, info = api_token(reader, "default")
        ends = datetime.fromisoformat(info["expires_at"]) - datetime.fromisoformat(info["created_at"])
        assert ends == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=5))
        api_token(reader, "long", expires_at=soon(seconds=3500))
        assert (
            "at most 3600"
            in reader.refused("POST", "/api/v1/me/tokens", {"name": "longer", "expires_at": soon(seconds=4000)}).reply[
                "msg"
            ]
        )
    settings = msgspec.structs.replace(SECURE, api_token_max_lifetime=3600)
    with secure(databases, settings) as server, as_user(server.address, "read_user") as reader:
        assert reader.refused("POST", "/api/v1/me/tokens", {"name": "for ever"}).status == 400


# --- scopes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("unlimited", "unlimited"),
        ("read", "read"),
        ("compute", "compute"),
        ("compute?tag=gpu", "compute?tag=gpu"),
        ("unlimited?tag=B&tag=a&tag=b", "unlimited?tag=a&tag=b"),
        ("compute?tag=big%20mem%26more", "compute?tag=big%20mem%26more"),
        ("compute?tag=%C3%BC", "compute?tag=%C3%BC"),
    ],
)
def test_a_scope_has_one_spelling(text: str, canonical: str) -> None:
    assert str(Scope.of(text)) == canonical
    assert Scope.of(canonical) == Scope.of(text)


@pytest.mark.parametrize(
    "text",
    ["", "all", "Read", "read?tag=a", "compute?", "compute?tag=", "compute?tag=*", "compute?dataset=1", "compute?tag",
     "compute?tag=a&x=1", "unlimited ", "compute?" + "&".join(f"tag={n}" for n in range(200))],
)  # fmt: skip
def test_what_is_no_scope_gives_no_access(text: str) -> None:
    with pytest.raises(InvalidAccount, match=r"Unknown API token scope|cannot be limited"):
        Scope.of(text)


def test_a_token_to_read_changes_nothing(server: Archive, admin: Http) -> None:
    (record_id,) = add(admin)
    token, _ = api_token(admin, scope="read")
    with as_token(server.address, token) as api:
        assert api.record(record_id)["id"] == record_id
        assert api.post("records/query", {}) == [record_id]
        assert len(api.get("users")) > 3
        for method, path, body in (
            ("PATCH", "records", {"record_ids": [record_id], "comment": "x"}),
            ("POST", "records/bulkDelete", {"record_ids": [record_id], "soft_delete": True, "delete_children": True}),
            ("POST", "molecules/bulkCreate", []),
            ("POST", "groups", {"groupname": "x"}),
            ("PUT", "me/preferences", {}),
            ("POST", "operations/preview", {"action": "cancel", "filter": {}}),
        ):
            refusal = api.refused(method, f"/api/v1/{path}", body)
            assert (refusal.status, "scope 'read'" in refusal.reply["msg"]) == (403, True)
        assert api.refused("POST", "/compute/v1/tasks/claim", {}).status == 403


def test_a_token_to_compute_does_nothing_else(server: Archive, admin: Http) -> None:
    add(admin)
    token, _ = api_token(admin, scope="compute")
    with as_token(server.address, token) as api:
        manager = Manager(api)
        (task,) = manager.claim()
        assert manager.give_one(task["id"], make_result(task)) is None
        manager.beat()
        assert api.get("information")
        assert api.get("me")["username"] == "admin_user"
        for path in ("records/1", "users", "managers/x"):
            assert api.refused("GET", f"/api/v1/{path}").status == 403
        assert api.refused("PUT", "/api/v1/me/preferences", {}).status == 403


def test_a_scope_gives_nothing_that_the_role_does_not(server: Archive) -> None:
    with as_user(server.address, "read_user") as reader:
        token, _ = api_token(reader, scope="compute")
    with as_token(server.address, token) as api:
        assert api.refused("POST", "/compute/v1/tasks/claim", {}).status == 403


def test_a_token_limited_to_tags_adds_and_computes_under_these_only(server: Archive, admin: Http) -> None:
    token, info = api_token(admin, scope="unlimited?tag=GPU&tag=night")
    assert info["scope"] == "unlimited?tag=gpu&tag=night"
    (elsewhere,) = add(admin, compute_tag="other")
    with as_token(server.address, token) as api:
        (mine,) = add(api, compute_tag="Gpu")
        spec = {"program": "psi4", "driver": "energy", "method": "hf", "basis": "sto-3g"}
        for tag in ("other", "*"):
            body = {"specification": spec, "molecules": [], "compute_tag": tag}
            refusal = api.refused("POST", "/api/v1/records/singlepoint/bulkCreate", body)
            assert (refusal.status, "only gpu, night" in refusal.reply["msg"]) == (403, True)
        assert api.record(elsewhere)["id"] == elsewhere, "it may look"
        for method, path, body in (
            ("PATCH", "records", {"record_ids": [elsewhere], "compute_tag": "gpu"}),
            ("PATCH", "records", {"record_ids": [mine], "status": "cancelled"}),
            ("PUT", "me/preferences", {}),
            ("POST", "groups", {"groupname": "x"}),
        ):
            assert api.refused(method, f"/api/v1/{path}", body).status == 403
        everything = Manager(api, tags=["*"])
        (task,) = everything.claim()
        assert task["record_id"] == mine
        assert everything.give_one(task["id"], make_result(task)) is None
        refusal = api.refused("POST", "/compute/v1/tasks/claim", Manager(api, tags=["other"]).offer(limit=5))
        assert (refusal.status, refusal.reply["code"]) == (400, "manager_refused")
    assert Manager(admin).claim()[0]["record_id"] == elsewhere


@pytest.mark.parametrize(
    ("offered", "strict", "left"),
    [
        (["*"], False, ["a", "b"]),
        (["*"], True, []),
        (["b", "*"], False, ["b", "a"]),
        (["b", "c"], False, ["b"]),
        (["c"], False, []),
        (["a", "a"], True, ["a"]),
    ],
)
def test_of_the_tags_that_a_manager_offers_those_of_the_scope_are_left(
    offered: list[str], strict: bool, left: list[str]
) -> None:
    assert Scope("compute", ("a", "b")).of_offered(offered, strict=strict) == left
    assert Scope("compute").of_offered(offered, strict=strict) == offered
