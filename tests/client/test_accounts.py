"""Our client on a server where one logs in: accounts, groups, API tokens, as whom it asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qchive import GroupInfo, PortalClient, UserInfo, errors
from tests.accounts import PASSWORD, PEOPLE, secure


@pytest.fixture(scope="module")
def address(databases: Any) -> Iterator[str]:
    with secure(databases) as server:
        yield server.address


def client_of(address: str, name: str, password: str = PASSWORD) -> PortalClient:
    return PortalClient(address, name, password)


@pytest.fixture
def admin(address: str) -> Iterator[PortalClient]:
    with client_of(address, "admin_user") as client:
        yield client


@pytest.fixture
def reader(address: str) -> Iterator[PortalClient]:
    with client_of(address, "read_user") as client:
        yield client


def test_accounts_are_added_changed_and_removed(address: str, admin: PortalClient) -> None:
    assert {u.username for u in admin.list_users()} >= PEOPLE.keys()
    password = admin.add_user(UserInfo(username="ann", role="submit", enabled=True, fullname="Ann"))
    with client_of(address, "ann", password) as ann:
        me = ann.get_user()
        assert (me.username, me.id, me.role) == ("ann", ann.user_id, "submit")
        me.fullname, me.role = "Ann Other", "admin"
        changed = ann.modify_user(me)
        assert (changed.fullname, changed.role) == ("Ann Other", "submit")
        assert ann.change_user_password(new_password="another password") == "another password"
    assert admin.get_user("ann") == admin.get_user(me.id or 0) == changed
    changed.enabled = False
    assert admin.modify_user(changed).enabled is False
    with pytest.raises(errors.AuthenticationRequired, match="User ann is disabled"):
        client_of(address, "ann", "another password")
    made = admin.change_user_password("ann")
    assert len(made) >= 24
    admin.delete_user("ann")
    with pytest.raises(errors.NotFound, match="User ann not found"):
        admin.get_user("ann")


def test_what_cannot_be_is_refused_before_it_is_sent(admin: PortalClient) -> None:
    fine = {"username": "ben", "role": "read", "enabled": True}
    for name in ("a b", "123", "", "x" * 65, "nul\0"):
        with pytest.raises(errors.InvalidAccount, match="Username"):
            admin.add_user({**fine, "username": name})
    for name in ("a b", "", "nul\0"):
        with pytest.raises(errors.InvalidAccount, match="Username"):
            admin.get_user(name)
        with pytest.raises(errors.InvalidAccount, match="Username"):
            admin.delete_user(name)
        with pytest.raises(errors.InvalidAccount, match="Groupname"):
            admin.add_group(GroupInfo(groupname=name))
    for password in ("", "short", "x" * 73, "a NUL \0 in the middle"):
        with pytest.raises(errors.InvalidAccount, match="Password"):
            admin.add_user(fine, password)
        with pytest.raises(errors.InvalidAccount, match="Password"):
            admin.change_user_password(None, password)
    with pytest.raises(RuntimeError, match="contains an id"):
        admin.add_user({**fine, "id": 7})
    with pytest.raises(RuntimeError, match="contains an id"):
        admin.add_group({"groupname": "x", "id": 7})


def test_groups(admin: PortalClient) -> None:
    admin.add_group({"groupname": "chem", "description": "Chemists"})
    chem = admin.get_group("chem")
    assert admin.list_groups() == [chem]
    assert admin.get_group(chem.id or 0) == chem
    reader = admin.get_user("read_user")
    reader.groups = ["chem"]
    assert admin.modify_user(reader).groups == ["chem"]
    admin.delete_group("chem")
    assert admin.get_user("read_user").groups == []
    assert admin.list_groups() == []


def test_preferences(admin: PortalClient, reader: PortalClient) -> None:
    reader.set_preferences({"mode": "dark"})
    assert reader.get_preferences() == reader.get_preferences("read_user") == {"mode": "dark"}
    assert admin.get_preferences("read_user") == {"mode": "dark"}
    admin.set_preferences({}, "read_user")
    assert reader.get_preferences() == {}


def test_api_tokens(address: str, admin: PortalClient, reader: PortalClient) -> None:
    made = reader.create_api_token("laptop", datetime.now(UTC) + timedelta(days=1), scope="read")
    assert [t.name for t in reader.list_api_tokens()] == ["laptop"]
    with PortalClient(address, api_token=made.token) as client:
        assert (client.username, client.user_id) == ("read_user", reader.user_id)
        assert list(client.query_records()) == []
        with pytest.raises(errors.Forbidden, match="API token"):
            client.create_api_token("another")
    assert reader.rename_api_token(made.info.id, "desktop").name == "desktop"
    (listed,) = admin.list_api_tokens("read_user")
    assert listed.last_used_at is not None
    other = admin.create_api_token("by admin", username_or_id="read_user")
    assert admin.rename_api_token(other.info.id, "x", "read_user").user_id == reader.user_id
    admin.delete_api_token(other.info.id, "read_user")
    reader.delete_api_token(made.info.id)
    assert reader.list_api_tokens() == []
    with pytest.raises(errors.AuthenticationRequired, match="API token does not exist"):
        PortalClient(address, api_token=made.token)


def test_refusals_come_as_errors_of_their_own(address: str, reader: PortalClient) -> None:
    with pytest.raises(errors.Forbidden, match="Role 'read' is not authorized"):
        reader.add_user({"username": "x", "role": "admin", "enabled": True})
    with pytest.raises(errors.Forbidden):
        reader.add_molecules({"symbols": ["He"], "geometry": [0, 0, 0]})
    with pytest.raises(errors.AuthenticationRequired, match="Incorrect username or password"):
        client_of(address, "read_user", "wrong")
    with pytest.raises(errors.AuthenticationRequired, match="Server requires login"):
        PortalClient(address)
