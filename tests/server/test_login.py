"""Logging in: passwords, the tokens for them, what makes them void, and too many wrong ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from tests.accounts import PASSWORD, SECURE, as_token, as_user, bearing, inhabited, secure, tokens
from tests.archive import Archive, prepared, running
from tests.factories import Http, http, sql, until

from qchive.errors import WeakSecret
from qchive.server.settings import Settings


@pytest.fixture
def server(databases: Any) -> Iterator[Archive]:
    with secure(databases) as server:
        yield server


@pytest.fixture
def api(server: Archive) -> Iterator[Http]:
    with http(server.address) as api:
        yield api


@pytest.fixture
def admin(server: Archive) -> Iterator[Http]:
    with as_user(server.address, "admin_user") as admin:
        yield admin


def login(api: Http, name: str, password: str = PASSWORD) -> httpx.Response:
    return api.raw.post("/auth/v1/login", json={"username": name, "password": password})


def renew(api: Http, token: str | None) -> httpx.Response:
    return api.raw.post("/auth/v1/refresh", headers=bearing(token))


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["msg"]


def test_a_password_gives_tokens_that_existing_clients_can_read(api: Http) -> None:
    given = login(api, "submit_user").json()
    access, refresh = (
        jwt.decode(given[f"{k}_token"], options={"verify_signature": False}) for k in ("access", "refresh")
    )
    assert given["msg"] == "Login succeeded!"
    assert isinstance(access["sub"], str)
    assert (access["role"], access["username"], access["groups"]) == ("submit", "submit_user", [])
    assert round(access["exp"] - time.time(), -1) == 900
    assert round(refresh["exp"] - time.time(), -1) == 86400
    with as_token(api.address, given["access_token"]) as logged_in:
        me = logged_in.get("me")
        assert (me["id"], me["username"], me["role"]) == (int(access["sub"]), "submit_user", "submit")
        shown = {"user_id": me["id"], "username": "submit_user", "role": "submit", "groups": []}
        assert logged_in.get("ping") == {"success": True, "authorized": True, "user_info": shown}
    assert api.get("ping") == {"success": True, "authorized": False}


def test_a_form_is_taken_too(api: Http) -> None:
    answer = api.raw.post("/auth/v1/login", data={"username": "read_user", "password": PASSWORD})
    assert answer.status_code == 200
    assert set(answer.json()) == {"msg", "access_token", "refresh_token"}


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("read_user", "wrong"),
        ("nobody_of_that_name", PASSWORD),
        ("READ_USER", PASSWORD),
        ("read_user", PASSWORD + " "),
        ("read_user", ""),
        ("", PASSWORD),
        ("1", PASSWORD),
        ("a name", PASSWORD),
        ("a" * 65, PASSWORD),
        ("nul\0", PASSWORD),
        ("read_user", "nul\0"),
        ("' OR 1=1 --", "' OR 1=1 --"),
    ],
)
def test_what_is_wrong_about_a_login_is_not_told(api: Http, name: str, password: str) -> None:
    answer = login(api, name, password)
    assert said(answer) == (401, "Incorrect username or password")
    assert (answer.json()["user_id"], answer.json()["username"]) == (None, None)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"username": "read_user"}', b'{"username": 5, "password": 5}', b"\xff"])
def test_a_login_that_makes_no_sense_is_refused(api: Http, body: bytes) -> None:
    answer = api.raw.post("/auth/v1/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_huge_login_is_not_read(api: Http) -> None:
    answer = login(api, "read_user", "x" * (1 << 20))
    assert answer.status_code == 413


def test_tokens_are_renewed(api: Http) -> None:
    given = tokens(api.address, "read_user")
    answer = renew(api, given["refresh_token"])
    assert answer.status_code == 200
    with as_token(api.address, answer.json()["access_token"]) as logged_in:
        assert logged_in.get("me")["username"] == "read_user"


def test_what_is_no_refresh_token_renews_nothing(api: Http) -> None:
    given = tokens(api.address, "read_user")
    assert said(renew(api, given["access_token"])) == (401, "Only refresh tokens are allowed")
    for token in (None, "rubbish", given["refresh_token"][:-3] + "abc"):
        status, msg = said(renew(api, token))
        assert status == 401
        assert "Token has expired" not in msg


def test_tokens_end(databases: Any) -> None:
    settings = msgspec.structs.replace(SECURE, jwt_access_token_expires=1, jwt_refresh_token_expires=2)
    with secure(databases, settings) as server, http(server.address) as api:
        given = tokens(server.address, "read_user")
        headers = bearing(given["access_token"])
        until(lambda: api.raw.get("/api/v1/me", headers=headers).status_code == 401)
        msg = api.raw.get("/api/v1/me", headers=headers).json()["msg"]
        assert msg == "Authentication failure - JWT Token has expired"
        until(lambda: renew(api, given["refresh_token"]).status_code == 401)
        assert said(renew(api, given["refresh_token"])) == (401, "Token has expired")


def test_a_new_password_makes_refresh_tokens_void(api: Http, admin: Http) -> None:
    given = tokens(api.address, "read_user")
    assert admin.ask("PUT", "/api/v1/users/read_user/password", "another long one") == "another long one"
    status, msg = said(renew(api, given["refresh_token"]))
    assert status == 401
    assert "Token has expired" in msg, "clients log in again at these words"
    assert login(api, "read_user").status_code == 401
    assert login(api, "read_user", "another long one").status_code == 200


def test_a_disabled_account_renews_nothing_and_its_older_tokens_never_will(api: Http, admin: Http) -> None:
    given, me = tokens(api.address, "read_user"), admin.get("users/read_user")
    admin.patch("users", me | {"enabled": False})
    assert said(renew(api, given["refresh_token"])) == (401, "User read_user is disabled.")
    assert said(login(api, "read_user")) == (401, "User read_user is disabled.")
    assert said(login(api, "read_user", "wrong")) == (401, "Incorrect username or password")
    admin.patch("users", me)
    assert renew(api, given["refresh_token"]).status_code == 401
    assert login(api, "read_user").status_code == 200


def test_a_vanished_account_renews_nothing(api: Http, admin: Http) -> None:
    given = tokens(api.address, "read_user")
    admin.ask("DELETE", "/api/v1/users/read_user")
    assert said(renew(api, given["refresh_token"])) == (401, "User does not exist")


def test_another_role_counts_at_once_in_every_process(databases: Any) -> None:
    with (
        inhabited(databases) as conninfo,
        running(conninfo, SECURE) as one,
        running(conninfo, SECURE) as other,
        as_user(one.address, "admin_user") as admin,
    ):
        access = tokens(other.address, "submit_user")["access_token"]
        with as_token(other.address, access) as submit:
            assert submit.patch("records", {"record_ids": [], "comment": "x"})["updated_idx"] == []
            admin.patch("users", admin.get("users/submit_user") | {"role": "read"})
            assert submit.refused("PATCH", "/api/v1/records", {"record_ids": [], "comment": "x"}).status == 403


def test_processes_share_a_key_that_nobody_gave_them(databases: Any) -> None:
    settings = Settings(enable_security=True)
    with inhabited(databases) as conninfo, running(conninfo, settings) as one, running(conninfo, settings) as other:
        for there, here in ((one, other), (other, one)):
            with as_token(here.address, tokens(there.address, "read_user")["access_token"]) as api:
                assert api.get("me")["username"] == "read_user"
        ((key,),) = sql(conninfo, "SELECT value #>> '{}' FROM setting WHERE key = 'jwt_secret_key'")
        assert len(key) >= 48


@pytest.mark.parametrize("key", ["", "secret", "a" * 64, "0123456789" * 3])
def test_a_key_that_can_be_guessed_is_refused(key: str) -> None:
    with pytest.raises(WeakSecret, match="jwt_secret_key"):
        Settings(jwt_secret_key=key).check()


def test_a_server_where_one_logs_in_may_be_reached_from_elsewhere() -> None:
    Settings(host="0.0.0.0", enable_security=True).check()


def test_passwords_are_kept_as_argon2id_and_made_stronger_when_used(server: Archive, api: Http) -> None:
    query = "SELECT password FROM account WHERE username = 'read_user'"
    ((kept,),) = sql(server.conninfo, query)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    sql(server.conninfo, "UPDATE account SET password = %s WHERE username = 'read_user'", weak)
    assert login(api, "read_user").status_code == 200
    ((stronger,),) = sql(server.conninfo, query)
    assert stronger.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert login(api, "read_user").status_code == 200


# --- too many wrong passwords ---------------------------------------------------------------------------------------


@pytest.fixture
def strict(databases: Any) -> Iterator[Archive]:
    settings = msgspec.structs.replace(
        SECURE, login_rate_limit_max_attempts=3, login_rate_limit_ip_max_attempts=6, login_rate_limit_window=60
    )
    with secure(databases, settings) as server:
        yield server


@pytest.fixture
def door(strict: Archive) -> Iterator[Http]:
    with http(strict.address) as api:
        yield api


def test_after_too_many_wrong_passwords_not_even_the_right_one_opens(door: Http) -> None:
    assert [login(door, "read_user", "wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
    blocked = login(door, "Read_User")
    assert blocked.status_code == 429
    assert blocked.json()["code"] == "too_many_logins"
    assert 1 <= int(blocked.headers["Retry-After"]) <= 61
    assert blocked.json()["msg"].startswith("Too many failed login attempts.")
    assert login(door, "submit_user").status_code == 200, "others come in"
    browser = {"X-Requested-With": "x"}
    again = door.raw.post("/auth/v1/session_login", json={"username": "read_user", "password": "x"}, headers=browser)
    assert again.status_code == 429


def test_a_right_password_forgives_the_wrong_ones_for_this_name_only(door: Http) -> None:
    statuses = [login(door, "read_user", password).status_code for password in ("a", "b", PASSWORD, "c", "d", "e", "f")]
    assert statuses == [401, 401, 200, 401, 401, 401, 429]
    assert login(door, "submit_user", "wrong").status_code == 401
    assert login(door, "submit_user").status_code == 429, "six wrong ones from this address"


def test_trying_many_names_is_noticed(door: Http) -> None:
    assert [login(door, f"name{n}", "wrong").status_code for n in range(7)] == [401] * 6 + [429]


def test_wrong_passwords_are_forgotten_after_a_while(strict: Archive, door: Http) -> None:
    for _ in range(3):
        login(door, "read_user", "wrong")
    assert login(door, "read_user").status_code == 429
    sql(strict.conninfo, "UPDATE failed_login SET time = time - interval '61 seconds'")
    assert login(door, "read_user").status_code == 200
    login(door, "read_user", "wrong")
    assert sql(strict.conninfo, "SELECT count(*) FROM failed_login") == [(1,)], "what is old is removed"


def test_all_processes_count_together(strict: Archive, door: Http) -> None:
    with running(strict.conninfo, strict.settings) as other, http(other.address) as elsewhere:
        for api in (door, elsewhere, door):
            assert login(api, "read_user", "wrong").status_code == 401
        assert login(elsewhere, "read_user").status_code == 429


def test_counting_can_be_switched_off(databases: Any) -> None:
    settings = msgspec.structs.replace(SECURE, login_rate_limit_max_attempts=1, login_rate_limit_enabled=False)
    with secure(databases, settings) as server, http(server.address) as api:
        assert [login(api, "read_user", "wrong").status_code for _ in range(3)] == [401] * 3


# --- without accounts -----------------------------------------------------------------------------------------------


def test_where_nobody_logs_in_there_is_nothing_to_do_about_accounts(databases: Any) -> None:
    with prepared(databases) as conninfo, running(conninfo) as server, http(server.address) as api:
        for method, path, resource in (
            ("GET", "users", "users"),
            ("POST", "users", "users"),
            ("GET", "me", "me"),
            ("PUT", "me/password", "me"),
            ("GET", "me/tokens", "me"),
            ("GET", "tokens", "users"),
            ("DELETE", "groups/x", "groups"),
        ):
            refusal = api.refused(method, f"/api/v1/{path}")
            assert refusal.status == 401
            assert refusal.reply["msg"] == f"Cannot access '{resource}' with security disabled"
        assert login(api, "admin").status_code == 401


def test_where_nobody_logs_in_a_bad_token_is_still_told(databases: Any) -> None:
    with prepared(databases) as conninfo, running(conninfo) as server, as_token(server.address, "qcf_x") as api:
        assert api.refused("GET", "/api/v1/information").status == 401
