"""`qchive users`, `groups` and `tokens`; commands log in as the environment says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from qchive import Local
from qchive.server.settings import Settings
from tests.accounts import PASSWORD, as_token, as_user, secure, tokens
from tests.archive import Archive
from tests.cli.conftest import Run
from tests.factories import sql


@pytest.fixture(scope="module")
def address(databases: Any) -> Iterator[str]:
    with secure(databases) as server:
        yield server.address


@pytest.fixture
def login(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Commands go there as the administrator."""
    monkeypatch.setenv("QCHIVE_ADDRESS", address)
    monkeypatch.setenv("QCHIVE_USERNAME", "admin_user")
    monkeypatch.setenv("QCHIVE_PASSWORD", PASSWORD)
    return address


def test_accounts_from_the_command_line(login: str, qchive: Run) -> None:
    assert qchive("groups", "add", "chem", "--description", "Chemists").code == 0
    added = qchive("users", "add", "ann", "--role", "submit", "--group", "chem", "--full-name", "Ann")
    assert added.code == 0, added.err
    with as_user(login, "ann", added.out.strip()) as ann:
        assert ann.get("me")["groups"] == ["chem"]
    shown = qchive("users", "show", "ann", "--json").json
    assert (shown["username"], shown["fullname"]) == ("ann", "Ann")
    assert "ann" in qchive("users", "list").out
    assert {u["username"] for u in qchive("users", "list", "--json").json} >= {"ann", "admin_user"}
    changed = qchive("users", "modify", "ann", "--role", "read", "--no-groups", "--disable", "--json").json
    assert (changed["role"], changed["groups"], changed["enabled"], changed["fullname"]) == ("read", [], False, "Ann")
    assert qchive("users", "modify", "ann", "--enable").code == 0
    typed = qchive("users", "password", "ann", "--password-stdin", stdin="a long password\n")
    assert (typed.code, typed.out) == (0, "")
    with as_user(login, "ann", "a long password"):
        pass
    assert qchive("users", "delete", "ann").code == 2, "nobody was asked"
    assert qchive("users", "delete", "ann", "--yes").code == 0
    assert qchive("groups", "list", "--json").json[0]["groupname"] == "chem"
    assert qchive("groups", "delete", "chem").code == 0


@pytest.mark.parametrize("change", ["--disable", "--role=read", "--group=chem"])
def test_who_wants_to_change_their_own_rights_is_told_that_nothing_came_of_it(
    lonely: Archive, login: str, qchive: Run, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv("QCHIVE_ADDRESS", lonely.address)
    assert qchive("groups", "add", "chem").code == 0
    ended = qchive("users", "modify", "admin_user", "--full-name", "Me", change, "--json")
    assert (ended.code, "nobody changes their own role" in ended.err) == (1, True)
    assert (ended.json["fullname"], ended.json["role"], ended.json["enabled"]) == ("Me", "admin", True)


def test_tokens_from_the_command_line(login: str, qchive: Run) -> None:
    made = qchive("tokens", "create", "cluster", "--scope", "compute", "--tag", "gpu", "--tag", "a b", "--days", "7")
    assert made.code == 0, made.err
    with as_token(login, made.out.strip()) as api:
        assert api.get("me")["username"] == "admin_user"
    (listed,) = qchive("tokens", "list", "--json").json
    assert listed["scope"] == "compute?tag=a%20b&tag=gpu"
    assert listed["expires_at"] is not None
    assert "cluster" in qchive("tokens", "list").out
    assert qchive("tokens", "revoke", "nothing").code == 1
    assert qchive("tokens", "revoke", "cluster").code == 0
    assert qchive("tokens", "list", "--json").json == []
    theirs = qchive("tokens", "create", "x", "--user", "read_user", "--json").json
    assert theirs["info"]["scope"] == "unlimited"
    assert qchive("tokens", "revoke", theirs["info"]["id"], "--user", "read_user").code == 0


def test_a_command_logs_in_with_an_api_token(login: str, qchive: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    token = qchive("tokens", "create", "y", "--scope", "read").out.strip()
    monkeypatch.delenv("QCHIVE_USERNAME")
    monkeypatch.delenv("QCHIVE_PASSWORD")
    refused = qchive("users", "list")
    assert (refused.code, "Server requires login" in refused.err) == (1, True)
    monkeypatch.setenv("QCHIVE_API_TOKEN", token)
    assert qchive("users", "list").code == 0
    assert qchive("records", "list", "--json").json == []
    assert "log in with a password" in qchive("tokens", "create", "z").err


def test_no_password_goes_to_another_address(login: str, archive: Any, qchive: Run) -> None:
    ended = qchive("status", "--address", archive.address, "--json")
    assert ended.code == 0, "it would be refused there"


@pytest.fixture
def lonely(databases: Any) -> Iterator[Archive]:
    """A server whose only administrator is `admin_user`."""
    with secure(databases) as server:
        yield server


def test_a_lost_administrators_password_is_reset_with_the_database_at_hand(lonely: Archive, qchive: Run) -> None:
    refresh = {"Authorization": f"Bearer {tokens(lonely.address, 'admin_user')['refresh_token']}"}
    with httpx.Client(base_url=lonely.address, headers={"X-Requested-With": "fetch"}) as browser:
        browser.post("/auth/v1/session_login", json={"username": "admin_user", "password": PASSWORD})
        browser.headers["Cookie"] = f"qcf_session={browser.cookies['qcf_session']}"
        browser.cookies.clear()
        assert browser.get("/api/v1/me").status_code == 200
        ended = qchive("users", "reset-password", "admin_user", "--database-url", lonely.conninfo)
        assert ended.code == 0, ended.err
        assert browser.get("/api/v1/me").status_code == 401, "sessions end"
        assert browser.post("/auth/v1/refresh", headers=refresh).status_code == 401, "and so do logins"
        login = {"username": "admin_user", "password": PASSWORD}
        assert browser.post("/auth/v1/login", json=login).status_code == 401
    assert sql(lonely.conninfo, "SELECT * FROM browser_session") == []
    with as_user(lonely.address, "admin_user", ended.out.strip()) as admin:
        assert admin.get("me")["role"] == "admin"
    typed = ("users", "reset-password", "1", "--password-stdin", "--database-url", lonely.conninfo)
    assert "at least 12 characters" in qchive(*typed, stdin="short\n").err
    assert qchive(*typed, stdin="a long password\n").out == ""
    with as_user(lonely.address, "admin_user", "a long password"):
        pass


def test_a_disabled_account_is_let_in_again_only_if_that_is_asked_for(
    lonely: Archive, qchive: Run, tmp_path: Path
) -> None:
    file = tmp_path / "server.yaml"
    file.write_text(f"database_url: {lonely.conninfo}\n")
    sql(lonely.conninfo, "UPDATE account SET enabled = false WHERE username = 'admin_user'")
    reset = ("users", "reset-password", "admin_user", "--config", file)
    ended = qchive(*reset)
    assert (ended.code, "is disabled" in ended.err) == (0, True)
    assert sql(lonely.conninfo, "SELECT enabled FROM account WHERE username = 'admin_user'") == [(False,)]
    ended = qchive(*reset, "--enable")
    assert (ended.code, "is disabled" in ended.err) == (0, False)
    with as_user(lonely.address, "admin_user", ended.out.strip()):
        pass


def test_a_password_is_reset_of_accounts_that_are_there(lonely: Archive, qchive: Run, database: str) -> None:
    nobody = qchive("users", "reset-password", "nobody", "--database-url", lonely.conninfo)
    assert (nobody.code, nobody.out, nobody.err) == (1, "", "qchive: User nobody not found.\n")
    empty = qchive("users", "reset-password", "admin", "--database-url", database)
    assert (empty.code, "is empty" in empty.err) == (1, True)
    away = qchive("users", "reset-password", "admin", "--database-url", "postgresql://127.0.0.1:1/nowhere")
    assert (away.code, away.err.startswith("qchive: PostgreSQL: ")) == (1, True)


def test_a_password_is_reset_in_an_archive_on_this_machine_while_it_runs(qchive: Run, open_folder: Path) -> None:
    with Local(open_folder, workers=0, settings=Settings(enable_security=True)) as archive:
        ended = qchive("users", "reset-password", "admin", "--data", open_folder)
        assert ended.code == 0, ended.err
        with archive.client(username="admin", password=ended.out.strip()) as client:
            assert client.get_user().role == "admin"
