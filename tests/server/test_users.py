"""Accounts and groups, and what their people leave behind on records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from tests.accounts import PASSWORD, PEOPLE, SECURE, as_user, secure, tokens
from tests.archive import Archive
from tests.factories import Http, Manager, Refused, add, http, make_result, sql, until

ANN = {"username": "ann", "role": "submit", "enabled": True}


@pytest.fixture
def server(databases: Any) -> Iterator[Archive]:
    with secure(databases) as server:
        yield server


@pytest.fixture
def admin(server: Archive) -> Iterator[Http]:
    with as_user(server.address, "admin_user") as admin:
        yield admin


def test_accounts_are_listed_and_found_by_name_and_id(admin: Http) -> None:
    listed = admin.get("users")
    assert {one["username"]: one["role"] for one in listed} == PEOPLE
    assert [one["id"] for one in listed] == sorted(one["id"] for one in listed)
    fields = {"id", "auth_type", "username", "role", "groups", "enabled", "fullname", "organization", "email"}
    for one in listed:
        assert set(one) == fields
        assert admin.get(f"users/{one['username']}") == one == admin.get(f"users/{one['id']}")


def test_an_account_is_added_and_logs_in(server: Archive, admin: Http) -> None:
    admin.post("groups", {"groupname": "chem", "description": "Chemists"})
    given = {**ANN, "groups": ["chem"], "fullname": "Ann", "organization": "Lab", "email": "ann@example.org"}
    assert admin.post("users", [given, "a password of hers"]) == "a password of hers"
    with as_user(server.address, "ann", "a password of hers") as ann:
        me = ann.get("me")
        assert {k: me[k] for k in given} == given
    made = admin.post("users", [{**ANN, "username": "ben"}, None])
    assert len(made) >= 24
    assert tokens(server.address, "ben", made)


@pytest.mark.parametrize(
    ("changes", "password", "why"),
    [
        ({"username": ""}, None, "Username is empty"),
        ({"username": "a b"}, None, "Username contains spaces"),
        ({"username": "123"}, None, "Username cannot be all numbers"),
        ({"username": "a\0"}, None, "Username contains a NUL character"),
        ({"username": "a" * 65}, None, "Username must be at most 64 characters"),
        ({"username": "read_user"}, None, "User read_user already exists"),
        ({"role": "king"}, None, "Role king does not exist"),
        ({"role": "anonymous"}, None, "Role anonymous does not exist"),
        ({"groups": ["nowhere"]}, None, "Group nowhere does not exist"),
        ({"id": 77}, None, "id was given"),
        ({"fullname": "x" * 129}, None, "length <= 128"),
        ({"unknown": 1}, None, "unknown field"),
        ({}, "short", "at least 12 characters"),
        ({}, "", "at least 12 characters"),
        ({}, "x" * 73, "at most 72 bytes"),
        ({}, "ü" * 37, "at most 72 bytes"),
        ({}, "with a NUL \0 inside", "NUL character"),
    ],
)
def test_an_account_that_cannot_be_is_refused(admin: Http, changes: Any, password: str | None, why: str) -> None:
    refusal = admin.refused("POST", "/api/v1/users", [{**ANN, **changes}, password])
    assert refusal.status == 400
    assert why in refusal.reply["msg"]
    assert len(admin.get("users")) == len(PEOPLE)


@pytest.mark.parametrize("password", ["x" * 12, "x" * 72, "ü" * 36, "pass word with spaces", "\u202e emoji 🙂 12345"])
def test_any_password_within_the_rules_works(server: Archive, admin: Http, password: str) -> None:
    admin.post("users", [ANN, password])
    assert tokens(server.address, "ann", password)


def test_an_administrator_changes_everything_but_the_name(server: Archive, admin: Http) -> None:
    admin.post("groups", {"groupname": "chem"})
    admin.post("groups", {"groupname": "bio"})
    before = admin.get("users/read_user")
    changed = {
        **before,
        "fullname": "Reader",
        "organization": "Library",
        "email": "r@example.org",
        "role": "submit",
        "groups": ["bio", "chem"],
        "enabled": False,
    }
    assert admin.patch("users", changed) == changed == admin.get("users/read_user")
    again = {**changed, "groups": ["bio"], "enabled": True}
    assert admin.patch("users", again) == again
    for wrong, why in (({"username": "submit_user"}, "Cannot change the name"), ({"id": 12345}, "not found")):
        refusal = admin.refused("PATCH", "/api/v1/users", {**again, **wrong})
        assert (refusal.status, why in refusal.reply["msg"]) == (400, True)
    for wrong in ({"role": "bad"}, {"groups": ["bad"]}, {"id": None}, {"username": "a b"}):
        assert admin.refused("PATCH", "/api/v1/users", {**again, **wrong}).status == 400
    assert admin.get("users/read_user") == again


def test_people_change_little_about_themselves(server: Archive) -> None:
    with as_user(server.address, "read_user") as reader:
        me = reader.get("me")
        wish = {**me, "fullname": "Me", "role": "admin", "groups": ["x"], "enabled": False}
        assert reader.patch("me", wish) == {**me, "fullname": "Me"}
        for wrong in ({"id": 1}, {"username": "admin_user"}, {"id": 1, "username": "admin_user"}):
            refusal = reader.refused("PATCH", "/api/v1/me", {**me, **wrong})
            assert (refusal.status, refusal.reply["code"]) == (403, "forbidden")
        assert reader.ask("PUT", "/api/v1/me/password", "my new password") == "my new password"
        made = reader.ask("PUT", "/api/v1/me/password", None)
    assert tokens(server.address, "read_user", made)


def test_a_missing_account_is_told(admin: Http) -> None:
    for method, path, body in (
        ("GET", "users/nobody", ...),
        ("GET", "users/98765", ...),
        ("GET", "users/" + "9" * 40, ...),
        ("DELETE", "users/nobody", ...),
        ("PUT", "users/nobody/password", "a long password"),
        ("GET", "users/nobody/preferences", ...),
        ("PUT", "users/nobody/preferences", {}),
        ("GET", "users/nobody/tokens", ...),
        ("POST", "users/nobody/tokens", {"name": "x"}),
        ("GET", "users/nobody/sessions", ...),
    ):
        refusal = admin.refused(method, f"/api/v1/{path}", body)
        assert (refusal.status, refusal.reply["code"]) == (400, "not_found")
        assert refusal.reply["msg"].startswith("User ")


def test_preferences_are_kept_by_name_by_id_and_for_oneself(server: Archive, admin: Http) -> None:
    wish = {"favorites": [4, 5, 2], "mode": "dark", "deep": {"a": [None, 1.5]}}
    user_id = admin.get("users/read_user")["id"]
    with as_user(server.address, "read_user") as reader:
        assert reader.get("me/preferences") == {}
        reader.ask("PUT", "/api/v1/me/preferences", wish)
        assert reader.get("me/preferences") == wish
    for path in ("users/read_user/preferences", f"users/{user_id}/preferences"):
        assert admin.get(path) == wish
        wish = {"at": path}
        admin.ask("PUT", f"/api/v1/{path}", wish)
        assert admin.get(path) == wish
        assert admin.refused("PUT", f"/api/v1/{path}", [1]).status == 400
        assert admin.refused("PUT", f"/api/v1/{path}", {"x": "y" * (1 << 20)}).status == 413
    assert admin.get("me/preferences") == {}


def test_groups_come_and_go(admin: Http) -> None:
    assert admin.get("groups") == []
    admin.post("groups", {"groupname": "chem", "description": "Chemists"})
    (chem,) = admin.get("groups")
    assert chem == {"id": chem["id"], "groupname": "chem", "description": "Chemists"}
    assert admin.get("groups/chem") == chem == admin.get(f"groups/{chem['id']}")
    assert "already exists" in admin.refused("POST", "/api/v1/groups", {"groupname": "chem"}).reply["msg"]
    for name in ("", "a b", "12", "a\0", "x" * 129):
        assert admin.refused("POST", "/api/v1/groups", {"groupname": name}).reply["msg"].startswith("Groupname")
    reader = admin.get("users/read_user")
    admin.patch("users", reader | {"groups": ["chem"]})
    admin.ask("DELETE", "/api/v1/groups/chem")
    assert admin.get("users/read_user") == reader
    for method in ("GET", "DELETE"):
        assert admin.refused(method, "/api/v1/groups/chem").reply["msg"] == "Group chem does not exist"


def test_nobody_removes_themselves(admin: Http) -> None:
    me = admin.get("me")
    for who in (me["id"], me["username"]):
        assert admin.refused("DELETE", f"/api/v1/users/{who}").reply["msg"] == "Cannot delete your own user"


@pytest.mark.parametrize("change", [{"enabled": False}, {"role": "maintain"}, {"role": "submit", "enabled": False}])
def test_the_last_administrator_who_can_log_in_stays(server: Archive, admin: Http, change: Any) -> None:
    me = admin.get("me")
    refusal = admin.refused("PATCH", "/api/v1/users", {**me, **change})
    assert (refusal.status, refusal.reply["code"]) == (400, "last_administrator")
    assert "make somebody else an administrator first" in refusal.reply["msg"]
    assert admin.patch("users", {**me, "fullname": "Still here"})["fullname"] == "Still here"
    admin.post("users", [{**ANN, "role": "admin", "enabled": False}, PASSWORD])
    assert admin.refused("PATCH", "/api/v1/users", {**me, **change}).reply["code"] == "last_administrator", (
        "somebody who cannot log in is no help"
    )
    admin.patch("users", admin.get("users/ann") | {"enabled": True})
    assert admin.patch("users", {**me, **change}) == {**me, **change}
    with as_user(server.address, "ann") as ann:
        assert ann.patch("users", me) == me, "that can be put right"


REMOVALS: dict[str, Callable[[Http, dict[str, Any]], Any]] = {
    "disable": lambda api, other: api.patch("users", other | {"enabled": False}),
    "demote": lambda api, other: api.patch("users", other | {"role": "read"}),
    "delete": lambda api, other: api.ask("DELETE", f"/api/v1/users/{other['id']}"),
}


@pytest.mark.parametrize("first", REMOVALS)
@pytest.mark.parametrize("second", REMOVALS)
def test_two_administrators_who_shut_each_other_out_at_once_are_not_both_gone(
    server: Archive, admin: Http, first: str, second: str
) -> None:
    admin.post("users", [{**ANN, "role": "admin"}, PASSWORD])
    me, ann_is = admin.get("me"), admin.get("users/ann")
    ended: list[Any] = []

    def remove(how: str, api: Http, other: dict[str, Any]) -> None:
        try:
            ended.append(REMOVALS[how](api, other) and None)
        except Refused as refusal:
            ended.append(refusal.reply["code"])

    with as_user(server.address, "ann") as ann, psycopg.connect(server.conninfo) as blocker:
        blocker.execute("SELECT FROM account WHERE role = 'admin' FOR UPDATE")
        threads = [
            threading.Thread(target=remove, args=(first, admin, ann_is)),
            threading.Thread(target=remove, args=(second, ann, me)),
        ]
        for thread in threads:
            thread.start()
        until(lambda: sql(server.conninfo, "SELECT count(*) FROM pg_locks WHERE NOT granted") == [(2,)])
        blocker.rollback()
        for thread in threads:
            thread.join(60)
    assert sorted(ended, key=str) == [None, "last_administrator"]
    left = sql(server.conninfo, "SELECT count(*) FROM account WHERE role = 'admin' AND enabled")
    assert left == [(1,)]


# --- whose what is --------------------------------------------------------------------------------------------------


def test_records_comments_and_operations_tell_who_made_them_also_when_that_account_is_gone(
    server: Archive, admin: Http
) -> None:
    admin.post("users", [ANN, PASSWORD])
    ann_id = admin.get("users/ann")["id"]
    with as_user(server.address, "ann") as ann, as_user(server.address, "submit_user") as other:
        (mine,), (theirs,) = add(ann), add(other)
        ann.patch("records", {"record_ids": [mine], "comment": "seen"})
        ann.patch("records", {"record_ids": [mine], "status": "cancelled"})
    assert admin.record(mine)["owner_user"] == "ann"
    for who in ("ann", ann_id, str(ann_id)):
        for field in ("owner_user", "creator_user"):
            assert admin.post("records/query", {field: [who]}) == [mine]
            assert admin.post("records/singlepoint/query", {field: [who]}) == [mine]
        assert [o["action"] for o in admin.post("operations/query", {"username": [who]})] == ["cancel", "comment"]
    assert admin.post("records/query", {"owner_user": ["ann", "submit_user"]}) == [theirs, mine]
    assert admin.post("records/query", {"owner_user": ["nobody", 987654, "9" * 30]}) == []

    admin.ask("DELETE", "/api/v1/users/ann")
    (comment,) = admin.record(mine, "comments")["comments"]
    assert comment["username"] == "ann"
    assert admin.record(mine)["owner_user"] == "ann"
    assert admin.post("records/query", {"owner_user": ["ann"]}) == [mine]
    assert admin.post("records/query", {"owner_user": [ann_id]}) == [], "nobody has this id any more"


def test_what_runs_in_the_background_carries_the_name_of_whoever_asked(databases: Any) -> None:
    settings = replace(SECURE, operation_at_once=0)
    with (
        secure(databases, settings) as server,
        as_user(server.address, "submit_user") as submit,
        as_user(server.address, "admin_user") as admin,
    ):
        add(submit)
        token = submit.post("operations/preview", {"action": "cancel", "filter": {}})["token"]
        operation = submit.post("operations", {"token": token})
        assert operation["username"] == "submit_user"
        me = submit.get("me")["id"]
        for who in ("submit_user", me, str(me)):
            (job,) = admin.post("internal_jobs/query", {"user": [who]})
            assert (job["id"], job["user"]) == (operation["job_id"], "submit_user")
        assert admin.post("internal_jobs/query", {"user": ["admin_user", 99999]}) == []


def test_what_a_computation_adds_belongs_to_whose_it_is(server: Archive) -> None:
    with as_user(server.address, "submit_user") as submit, as_user(server.address, "compute_user") as compute:
        (record_id,) = add(submit, kind="optimization")
        manager = Manager(compute)
        (task,) = manager.claim()
        assert manager.give_one(task["id"], make_result(task)) is None
        steps = submit.get(f"records/optimization/{record_id}/trajectory")
        assert steps
        assert {submit.record(step)["owner_user"] for step in steps} == {"submit_user"}
        assert submit.get(f"managers/{manager.name}")["username"] == "compute_user"


def test_nobody_speaks_for_somebody_elses_manager(server: Archive, admin: Http) -> None:
    admin.post("users", [{"username": "other", "role": "compute", "enabled": True}, PASSWORD])
    with as_user(server.address, "submit_user") as submit, as_user(server.address, "compute_user") as compute:
        add(submit)
        manager = Manager(compute)
        (task,) = manager.claim()
        for who, refused in (("other", True), ("admin_user", False)):
            with as_user(server.address, who) as impostor:
                manager.api = impostor
                sent = {"name_data": manager.name_data, "results_compressed": {}}
                beat = {"status": "active", "active_tasks": 0, "active_cores": 0, "active_memory": 0}
                for method, path, body in (
                    ("POST", "tasks/claim", manager.offer(limit=1)),
                    ("POST", "tasks/return", sent),
                    ("PATCH", f"managers/{manager.name}", beat | {"total_cpu_hours": 0}),
                    ("POST", "managers", manager.offer(manager_version="0.71", username=None)),
                ):
                    if refused:
                        refusal = impostor.refused(method, f"/compute/v1/{path}", body)
                        assert (refusal.status, refusal.reply["code"]) == (400, "manager_refused")
                    else:
                        impostor.ask(method, f"/compute/v1/{path}", body)
        manager.api = compute
        assert manager.give_one(task["id"], make_result(task)) is None


def test_reading_without_logging_in_is_an_option(databases: Any, server: Archive) -> None:
    with http(server.address) as api:
        assert api.refused("POST", "/api/v1/records/query", {}).reply["msg"] == "Server requires login"
        assert api.get("ping") == {"success": True, "authorized": False}
    with secure(databases, replace(SECURE, allow_unauthenticated_read=True)) as open_, http(open_.address) as api:
        assert api.get("ping") == {"success": True, "authorized": True}
        assert api.post("records/query", {}) == []
        assert api.refused("GET", "/api/v1/me").status == 403
        assert api.refused("PATCH", "/api/v1/records", {"record_ids": []}).status == 403


def test_the_database_holds_no_secret_in_the_clear(server: Archive, admin: Http) -> None:
    given = admin.post("me/tokens", {"name": "x"})["token"]
    for table in ("account", "api_token", "browser_session", "setting"):
        held = str(sql(server.conninfo, f"SELECT {table}::text FROM {table}"))
        assert PASSWORD not in held
        assert given[20:] not in held
