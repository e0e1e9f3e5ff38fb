"""The unmodified client and compute manager on our server, where one logs in."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from qcportal import ManagerClient, PortalClient, PortalRequestError
from qcportal.auth import GroupInfo, UserInfo
from qcportal.exceptions import AuthenticationFailure
from qcportal.managers import ManagerName
from qcportal.molecules import Molecule
from qcportal.record_models import RecordStatusEnum
from qcportal.utils import now_at_utc

from tests.accounts import PASSWORD, PEOPLE, SECURE, inhabited, secure
from tests.archive import Archive
from tests.factories import sql, until
from tests.interop.peers import compute_manager, server_process, wait_until

HELIUM = Molecule(symbols=["He"], geometry=[0.0, 0.0, 0.0])
LIFETIME = 2
"""Seconds that an access token holds."""


@pytest.fixture(scope="module")
def server(databases: Any) -> Iterator[Archive]:
    with secure(databases, msgspec.structs.replace(SECURE, jwt_access_token_expires=LIFETIME)) as server:
        yield server


def logged_in(server: Archive, name: str, password: str = PASSWORD) -> PortalClient:
    return PortalClient(server.address, name, password, show_motd=False)


@pytest.fixture
def admin(server: Archive) -> PortalClient:
    return logged_in(server, "admin_user")


@pytest.mark.parametrize("name", PEOPLE)
def test_every_role_logs_in_and_knows_itself(server: Archive, name: str) -> None:
    client = logged_in(server, name)
    me = client.get_user()
    assert (me.username, me.id, me.role) == (name, client.user_id, PEOPLE[name])
    assert client.ping()


@pytest.mark.parametrize(("name", "password"), [("read_user", "wrong-password"), ("nobody", PASSWORD)])
def test_a_wrong_password_is_told(server: Archive, name: str, password: str) -> None:
    with pytest.raises(AuthenticationFailure, match="Incorrect username or password"):
        logged_in(server, name, password)


def test_nobody_in_particular_is_told_to_log_in(server: Archive) -> None:
    with pytest.raises(PortalRequestError, match="Server requires login") as caught:
        PortalClient(server.address)
    assert caught.value.status_code == 401


def test_tokens_that_end_in_the_middle_of_work_are_renewed(server: Archive) -> None:
    client = logged_in(server, "submit_user")
    first = client._jwt_access_token
    deadline = time.monotonic() + 2 * LIFETIME + 1
    while time.monotonic() < deadline:  # longer than any one token lives
        client.query_molecules(molecule_hash="0" * 40)
    assert client._jwt_access_token != first


def test_a_token_that_the_server_calls_expired_is_renewed(server: Archive) -> None:
    client = logged_in(server, "submit_user")
    client._jwt_access_exp = time.time() + 1000  # the client believes in it for longer than the server
    first = client._jwt_access_token
    until(lambda: [client.get_server_information(), client._jwt_access_token != first][1])


def test_a_session_whose_refresh_token_is_void_logs_in_again(server: Archive, admin: PortalClient) -> None:
    client = logged_in(server, "monitor_user")
    client._jwt_access_exp = 1  # long ago: renew now
    me = admin.get_user("monitor_user")
    admin.modify_user(me.model_copy(update={"enabled": False}))
    with pytest.raises(AuthenticationFailure, match="disabled"):
        client.get_server_information()
    admin.modify_user(me)
    client._jwt_access_exp = 1
    assert client.get_user().enabled, "by its password, as its refresh token is older than the disabling"


def test_an_account_that_is_gone_is_told(server: Archive, admin: PortalClient) -> None:
    password = admin.add_user(UserInfo(username="gone", role="read", enabled=True))
    client = logged_in(server, "gone", password)
    admin.delete_user("gone")
    client._jwt_access_exp = 1
    with pytest.raises(AuthenticationFailure, match="no longer exists"):
        client.get_server_information()


def test_roles_are_refused_what_they_may_not(server: Archive) -> None:
    reader = logged_in(server, "read_user")
    for refused in (
        lambda: reader.add_molecules([HELIUM]),
        lambda: reader.list_users(),
        lambda: reader.cancel_records([1]),
        lambda: reader.query_internal_jobs(),
        lambda: reader.add_group(GroupInfo(groupname="x")),
    ):
        with pytest.raises(PortalRequestError, match="Forbidden: Role 'read' is not authorized") as caught:
            refused()
        assert caught.value.status_code == 403
        assert caught.value.details["username"] == "read_user"


REFUSED: list[tuple[str, str, Callable[[PortalClient], Any]]] = [
    ("maintain_user", "add", lambda c: c.add_user(UserInfo(username="other", role="admin", enabled=True))),
    ("maintain_user", "modify", lambda c: c.change_user_password("admin_user", PASSWORD)),
    ("maintain_user", "modify", lambda c: c.create_api_token("theirs", username_or_id="admin_user")),
    ("monitor_user", "add", lambda c: c.add_singlepoints([HELIUM], "psi4", "energy", "hf", "sto-3g")),
    ("monitor_user", "modify", lambda c: c.reset_records([1])),
    ("monitor_user", "delete", lambda c: c.delete_access_log(before=now_at_utc())),
    ("submit_user", "read", lambda c: list(c.query_access_log())),
    ("submit_user", "read", lambda c: c.list_groups()),
    ("submit_user", "modify", lambda c: c.set_motd("hello")),
    ("compute_user", "read", lambda c: c.get_records([1])),
    ("compute_user", "read", lambda c: list(c.query_managers())),
    ("compute_user", "add", lambda c: c.add_molecules([HELIUM])),
]


@pytest.mark.parametrize(("name", "action", "ask"), REFUSED)
def test_every_role_has_something_that_it_may_not(
    server: Archive, name: str, action: str, ask: Callable[[PortalClient], Any]
) -> None:
    with pytest.raises(
        PortalRequestError, match=f"'{PEOPLE[name]}' is not authorized to use action '{action}'"
    ) as told:
        ask(logged_in(server, name))
    assert told.value.status_code == 403


def test_a_token_that_is_renewed_carries_the_role_of_now(server: Archive, admin: PortalClient) -> None:
    password = admin.add_user(UserInfo(username="riser", role="read", enabled=True))
    client = logged_in(server, "riser", password)
    with pytest.raises(PortalRequestError, match="'read' is not authorized"):
        client.add_molecules([HELIUM])
    admin.modify_user(admin.get_user("riser").model_copy(update={"role": "submit"}))
    client._jwt_access_exp = 1  # long ago: renew now
    client.add_molecules([HELIUM])
    assert jwt.decode(client._jwt_access_token, options={"verify_signature": False})["role"] == "submit"


def test_accounts_are_managed(server: Archive, admin: PortalClient) -> None:
    admin.add_group(GroupInfo(groupname="chem", description="Chemists"))
    group = admin.get_group("chem")
    assert admin.list_groups() == [group] == [admin.get_group(group.id)]
    info = UserInfo(username="george", role="submit", enabled=True, groups=["chem"], fullname="George")
    password = admin.add_user(info)
    george = logged_in(server, "george", password)
    me = george.get_user()
    assert (me.groups, me.fullname) == (["chem"], "George")
    me.fullname, me.role = "Another", "admin"
    assert (george.modify_user(me).fullname, george.get_user().role) == ("Another", "submit")
    assert george.change_user_password(None, "a_new_password1234") == "a_new_password1234"
    made = george.change_user_password()
    logged_in(server, "george", made)
    theirs = admin.get_user("george")
    theirs.role, theirs.groups, theirs.enabled = "read", [], False
    assert admin.modify_user(theirs) == theirs == admin.get_user(theirs.id)
    with pytest.raises(AuthenticationFailure, match="User george is disabled"):
        logged_in(server, "george", made)
    assert admin.change_user_password("george", "another_password") == "another_password"
    with pytest.raises(PortalRequestError, match="already exists"):
        admin.add_user(info)
    with pytest.raises(PortalRequestError, match="Cannot delete your own user"):
        admin.delete_user("admin_user")
    admin.delete_group("chem")
    admin.delete_user("george")
    with pytest.raises(PortalRequestError, match="User george not found"):
        admin.get_user("george")
    assert {u.username for u in admin.list_users()} >= set(PEOPLE)


def test_api_tokens_are_managed_and_open_the_server(server: Archive, admin: PortalClient) -> None:
    name = uuid.uuid4().hex
    made = admin.create_api_token(name, expires_at=now_at_utc() + timedelta(days=1))
    client = PortalClient(server.address, api_token=made.token, show_motd=False)
    assert (client.username, client.user_id) == ("admin_user", admin.user_id)
    assert client.list_users()
    with pytest.raises(PortalRequestError, match="API token") as caught:
        client.create_api_token("another")
    assert caught.value.status_code == 403
    assert admin.rename_api_token(made.info.id, name + "2").name == name + "2"
    (listed,) = admin.list_api_tokens()
    assert listed.last_used_at is not None
    theirs = admin.create_api_token(name, username_or_id="read_user")
    with pytest.raises(PortalRequestError, match="Forbidden"):
        PortalClient(server.address, api_token=theirs.token, show_motd=False).list_users()
    # Ours: a scope, which this client cannot ask for, but shows.
    sql(server.conninfo, "UPDATE api_token SET scope = 'compute?tag=a' WHERE id = %s", theirs.info.id)
    assert [t.scope for t in admin.list_api_tokens("read_user")] == ["compute?tag=a"]
    admin.delete_api_token(theirs.info.id, "read_user")
    admin.delete_api_token(made.info.id)
    with pytest.raises(PortalRequestError, match="API token does not exist"):
        client.get_server_information()
    with pytest.raises((AuthenticationFailure, PortalRequestError), match="API token does not exist"):
        PortalClient(server.address, api_token="qcf_unknown", show_motd=False)


def test_records_belong_to_whoever_added_them(server: Archive, admin: PortalClient) -> None:
    submit = logged_in(server, "submit_user")
    _, (record_id,) = submit.add_singlepoints([HELIUM], "psi4", "energy", "hf", "sto-3g")
    submit.add_comment(record_id, "seen")
    record = admin.get_records(record_id, include=["comments"])
    assert (record.owner_user, record.creator_user) == ("submit_user", "submit_user")
    assert [c.username for c in record.comments] == ["submit_user"]
    for who in ("submit_user", submit.user_id):
        assert [r.id for r in admin.query_records(owner_user=who)] == [record_id]
        assert [r.id for r in admin.query_singlepoints(creator_user=who)] == [record_id]
    assert list(admin.query_records(owner_user="read_user")) == []


def a_manager(server: Archive, **login: str) -> ManagerClient:
    return ManagerClient(ManagerName(cluster="a", hostname="b", uuid=uuid.uuid4().hex), server.address, **login)


def test_managers_are_for_those_who_may_compute(server: Archive) -> None:
    offer = ("0.71", {"qcengine": ["0.30"]}, ["nobodys"])
    for name in ("submit_user", "maintain_user"):
        with pytest.raises(PortalRequestError, match=f"'{PEOPLE[name]}' is not authorized"):
            a_manager(server, username=name, password=PASSWORD).activate(*offer)
    with pytest.raises(AuthenticationFailure, match="Incorrect username or password"):
        a_manager(server, username="compute_user", password="wrong-password")
    token = logged_in(server, "compute_user").create_api_token("cluster").token
    manager = a_manager(server, api_token=token)
    assert manager.activate(*offer) > 0
    assert manager.claim({"qcengine": ["0.30"]}, ["nobodys"], 1) == []
    manager.deactivate(0, 0, 0.0, 0.0)


def its_password(address: str) -> dict[str, str]:
    return {"username": "compute_user", "password": PASSWORD}


def its_api_token(address: str) -> dict[str, str]:
    client = PortalClient(address, "compute_user", PASSWORD, show_motd=False)
    return {"api_token": client.create_api_token("cluster").token}


@pytest.mark.parametrize("login", [its_password, its_api_token])
def test_an_unmodified_manager_computes_as_a_compute_user(
    databases: Any, open_folder: Path, login: Callable[[str], dict[str, str]]
) -> None:
    settings = msgspec.structs.replace(SECURE, jwt_access_token_expires=1)
    with (
        inhabited(databases) as conninfo,
        server_process(conninfo, settings) as server,
        compute_manager(server.address, open_folder, tags=["secure"], **login(server.address)) as manager,
    ):
        client = PortalClient(server.address, "submit_user", PASSWORD, show_motd=False)
        molecule = Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, 1.4], connectivity=[(0, 1, 1.0)])
        _, ids = client.add_singlepoints(molecule, "rdkit", "energy", "uff", None, compute_tag="secure")

        def complete() -> bool:
            assert manager.running, manager.told()
            return all(r.status == RecordStatusEnum.complete for r in client.get_records(ids))

        wait_until(complete, manager.told)
        (record,) = client.get_records(ids)
        assert record.owner_user == "submit_user"
        assert client.get_managers(record.manager_name).username == "compute_user"
        manager.stop()
