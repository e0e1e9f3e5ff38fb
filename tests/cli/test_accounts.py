"""`qchive users`, `groups` and `tokens`; commands log in as the environment says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.accounts import PASSWORD, as_token, as_user, secure
from tests.cli.conftest import Run


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
