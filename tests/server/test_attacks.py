"""What somebody would send who means harm: each was found to work once, or is what the next one would try."""

from __future__ import annotations

import base64
import logging
import lzma
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any
from urllib.parse import urlparse

import msgspec
import pytest
from tests.accounts import PASSWORD, SECURE, as_user, bearing, secure, tokens
from tests.archive import Archive, prepared, running
from tests.factories import Http, Manager, add, http, make_result

from qchive.server.bind import STRANGERS_BODY
from qchive.server.faults import fault
from qchive.server.settings import Settings

QUERIES = {
    "records": ("created_before", "created_after", "modified_before", "modified_after"),
    "managers": ("modified_before", "modified_after"),
    "operations": ("before", "after"),
    "internal_jobs": ("added_before", "last_updated_after", "scheduled_before"),
}
FORM = '--b\r\nContent-Disposition: form-data; name="body_data"\r\n\r\n{"name": "\\ud800"}\r\n--b--\r\n'


@pytest.fixture(scope="module")
def guarded(databases: Any) -> Iterator[Archive]:
    """A server where one logs in, also with a browser over plain HTTP."""
    settings = msgspec.structs.replace(SECURE, user_session_cookie_secure=False, login_rate_limit_enabled=False)
    with secure(databases, settings) as archive:
        yield archive


@pytest.fixture
def admin(guarded: Archive) -> Iterator[Http]:
    """Its administrator's requests."""
    with as_user(guarded.address, "admin_user") as made:
        yield made


# --- moments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", QUERIES)
def test_a_moment_that_only_another_time_zone_has_is_a_filter_like_others(shared_api: Http, noun: str) -> None:
    for name in QUERIES[noun]:
        for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
            shared_api.post(f"{noun}/query", {name: moment})


def test_a_token_that_holds_beyond_the_calendar_can_be_listed(admin: Http) -> None:
    made = admin.post("me/tokens", {"name": "for ever", "expires_at": "9999-12-31T23:59:59-14:00"})["info"]
    assert made["expires_at"].startswith("9999-12-31")
    assert made in admin.get("me/tokens")


# --- tokens of previews -------------------------------------------------------------------------------------------

PLAN = {"action": "modify", "filter": {}, "compute_tag": "a"}


def forged(plan: Any = PLAN, count: Any = 3, upto: Any = 2**31) -> str:
    """A preview's token, made up."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([plan, count, upto])).decode()


def test_the_forger_knows_how_tokens_of_previews_are_made(api: Http) -> None:
    add(api, 3)
    assert api.post("operations", {"token": forged()})["changed"] == 3


DAMAGED = {
    "no plan": forged({}),
    "a plan that is none": forged([1]),
    "an unknown action": forged(PLAN | {"action": "nonsense"}),
    "an action for the server only": forged(PLAN | {"action": "remove"}),
    "nothing to change": forged({"action": "modify", "filter": {}}),
    "changes that belong to another action": forged(PLAN | {"action": "delete"}),
    "a tag too long for an index": forged(PLAN | {"compute_tag": "x" * 10_000}),
    "a tag with NUL": forged(PLAN | {"compute_tag": "\0"}),
    "a tag that is a number": forged(PLAN | {"compute_tag": 1}),
    "an unknown priority": forged(PLAN | {"compute_priority": 99}),
    "a priority that is none": forged(PLAN | {"compute_priority": "utmost"}),
    "an unknown filter": forged(PLAN | {"filter": {"; DROP TABLE record": [1]}}),
    "a filter of the wrong type": forged(PLAN | {"filter": {"record_id": ["1 OR 1=1"]}}),
    "a negative count": forged(count=-3),
    "a huge count": forged(count=2**64 - 1),
    "a fraction for a count": forged(count=2.5),
    "an id without end": forged(upto=2**63),
    "too little": base64.urlsafe_b64encode(b"\x91\x01").decode(),
    "no MessagePack": base64.urlsafe_b64encode(b"\xc1").decode(),
    "nested without end": base64.urlsafe_b64encode(b"\x93" * 50_000).decode(),
    "a filter nested without end": base64.urlsafe_b64encode(b"\x93\x81\xa6filter" + b"\x91" * 50_000).decode(),
    "cut off": forged()[:-8],
    "no base64": "é!",
    "nothing": "",
}


@pytest.mark.parametrize("which", DAMAGED)
def test_a_token_of_no_preview_does_nothing(shared_api: Http, which: str) -> None:
    refused = shared_api.refused("POST", "/api/v1/operations", {"token": DAMAGED[which]})
    assert (refused.status, refused.reply["code"]) == (400, "invalid_body")
    assert shared_api.post("operations/query", {}) == []


@pytest.mark.parametrize("tolerance", [float("nan"), float("inf"), -1.0, 2.0])
def test_no_tolerance_switches_the_comparison_with_the_preview_off(shared_api: Http, tolerance: float) -> None:
    answer = shared_api.raw.post(
        "/api/v1/operations",
        content=msgspec.msgpack.encode({"token": forged(), "tolerance": tolerance}),
        headers={"Content-Type": "application/msgpack"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")


def test_another_ones_preview_gives_no_right(guarded: Archive, admin: Http) -> None:
    add(admin)
    token = admin.post("operations/preview", {"action": "delete", "filter": {}})["token"]
    for name in ("read_user", "monitor_user", "compute_user"):
        with as_user(guarded.address, name) as api:
            assert api.refused("POST", "/api/v1/operations", {"token": token}).status == 403
    assert admin.post("operations/query", {}) == []


# --- uploads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "punycode", "undefined", "utf-7", "idna"])
def test_an_upload_in_an_odd_charset_is_refused(shared_api: Http, charset: str) -> None:
    answer = shared_api.raw.post(
        "/api/v1/molecules/fromFiles",
        content=FORM,
        headers={"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")
    assert "UTF-8" in answer.json()["msg"]


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "a\0b.xyz", "..\\x.xyz", "%2e%2e/a.xyz"])
def test_the_name_of_an_uploaded_file_leads_nowhere(shared_api: Http, name: str) -> None:
    """It is only a key of the answer: nothing is opened by it."""
    body = (
        '--b\r\nContent-Disposition: form-data; name="body_data"\r\n\r\n{}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n1\n\nHe 0 0 0\n\r\n--b--\r\n'
    )
    answer = shared_api.raw.post(
        "/api/v1/molecules/fromFiles", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code < 500
    assert "root:" not in answer.text


# --- bombs --------------------------------------------------------------------------------------------------------


def test_a_bomb_inside_a_small_result_keeps_nobody_waiting(api: Http, archive: Archive) -> None:
    """A part that the manager packed by itself, and that has to be unpacked and packed again."""
    (record_id,) = add(api)
    manager = Manager(api)
    (task,) = manager.claim()
    bomb = lzma.compress(bytes(128 << 20), preset=0)
    part = {"compression_type": "lzma", "compression_level": 0, "data": bomb}
    result = make_result(task)
    result["extras"]["_qcfractal_compressed_outputs"] = {"stdout": part}
    assert len(bomb) < 1 << 18
    taken: list[Any] = []
    given = Thread(target=lambda: taken.append(manager.give_one(task["id"], result)))
    pauses = []
    with http(archive.address) as other:
        other.get("ping")
        start = time.monotonic()
        given.start()
        while given.is_alive():
            begun = time.monotonic()
            other.get("ping")
            pauses.append(time.monotonic() - begun)
        took = time.monotonic() - start
    given.join()
    assert taken == [None]
    assert api.statuses([record_id]) == ["complete"]
    assert max(pauses) < took / 2, "others were answered in the meantime"


def test_who_has_not_logged_in_sends_little(databases: Any) -> None:
    body = b'{"keywords": [' + b"[]," * STRANGERS_BODY
    path = "/api/v1/records/singlepoint/query"
    headers = {"Content-Type": "application/json"}
    with (
        secure(databases, msgspec.structs.replace(SECURE, allow_unauthenticated_read=True)) as archive,
        http(archive.address) as nobody,
        as_user(archive.address, "read_user") as somebody,
    ):
        assert nobody.raw.post(path, content=body, headers=headers).status_code == 413
        assert nobody.raw.post(path, content=iter([body]), headers=headers).status_code == 413
        assert nobody.post("records/singlepoint/query", {}) == []
        assert somebody.raw.post(path, content=body, headers=headers).status_code == 400


def test_a_body_without_end_is_cut_off(databases: Any) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with prepared(databases) as conninfo, running(conninfo, Settings(max_body=1 << 20)) as archive:
        where = urlparse(archive.address)
        for path in (b"/api/v1/records/query", b"/auth/v1/login", b"/api/v1/molecules/fromFiles"):
            with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
                connection.sendall(head % path)
                with suppress(ConnectionError):  # the server has hung up: what else could it do
                    for _ in range(64):
                        connection.sendall(b"10000\r\n" + b"[" * 0x10000 + b"\r\n")
                with suppress(ConnectionError):
                    assert connection.recv(4096).split()[1] in (b"400", b"413")
        with http(archive.address) as api:
            assert api.post("records/query", {}) == []


# --- browsers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://[", "http://]", "null", "", "http://evil.example", "\xff"])
def test_an_origin_that_is_not_ours_is_refused(guarded: Archive, origin: str) -> None:
    with http(guarded.address) as api:
        credentials = {"username": "admin_user", "password": PASSWORD}
        api.raw.headers["X-Requested-With"] = "test"
        api.raw.post("/auth/v1/session_login", json=credentials).raise_for_status()
        answer = api.raw.post("/api/v1/records/query", json={}, headers={b"Origin": origin.encode("latin-1")})
        assert answer.status_code == 403, answer.text
        assert api.post("records/query", {}) is not None


# --- names and logs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x1b[2Jb", "a\u2028b", "a\u202eb", "a\tb", "\x7f"])
def test_no_account_or_group_has_a_name_that_writes_lines_of_its_own(admin: Http, name: str) -> None:
    user = [{"username": name, "role": "read", "enabled": True}, None]
    assert admin.refused("POST", "/api/v1/users", user).reply["code"] == "invalid_account"
    assert admin.refused("POST", "/api/v1/groups", {"groupname": name}).reply["code"] == "invalid_account"


def test_an_address_cannot_begin_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        fault(KeyError("x"), "GET /api\nerror 000000000000: all is well\x1b[2J")
    (record,) = caplog.records
    assert re.fullmatch(r"error \w+: 'GET /api\\nerror 0+: all is well\\x1b\[2J'", record.getMessage())


# --- more than one's role may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["read_user", "submit_user", "compute_user", "monitor_user", "maintain_user"])
def test_nobody_gives_themselves_a_role(guarded: Archive, name: str) -> None:
    with as_user(guarded.address, name) as api:
        me = api.get("me")
        for more in ({"role": "admin"}, {"groups": ["nonsense"]}, {"enabled": False}):
            assert api.patch("me", me | more) == me
        for other in ({"id": 1}, {"username": "admin_user"}, {"id": None}, {"id": -1}):
            assert api.refused("PATCH", "/api/v1/me", me | other).status == 403
        for unknown in ({"password": "a long password"}, {"epoch": 0}, {"is_admin": True}):
            assert api.refused("PATCH", "/api/v1/me", me | unknown).reply["code"] == "invalid_body"
        assert api.get("me") == me


def test_nobody_reaches_another_ones_tokens_through_their_own(guarded: Archive, admin: Http) -> None:
    info = admin.post("me/tokens", {"name": "mine"})["info"]
    with as_user(guarded.address, "read_user") as api:
        assert api.get("me/tokens") == []
        assert api.refused("DELETE", f"/api/v1/me/tokens/{info['id']}").reply["code"] == "not_found"
        assert api.refused("PATCH", f"/api/v1/me/tokens/{info['id']}", {"name": "x"}).reply["code"] == "not_found"
    assert info in admin.get("me/tokens")


SCOPED = {
    "read": [("POST", "records/revert"), ("POST", "operations/preview"), ("POST", "operations/1/undo")],
    "compute": [("POST", "records/query"), ("GET", "records/1"), ("POST", "operations/query"), ("GET", "users")],
}


@pytest.mark.parametrize("scope", SCOPED)
def test_an_administrators_token_of_a_narrow_scope_stays_narrow(guarded: Archive, admin: Http, scope: str) -> None:
    token = admin.post("me/tokens", {"name": scope, "scope": scope})["token"]
    with http(guarded.address) as api:
        api.raw.headers.update(bearing(token))
        for method, path in SCOPED[scope]:
            refused = api.refused(method, f"/api/v1/{path}", {})
            assert (refused.status, refused.reply["code"]) == (403, "forbidden"), path
        for method, path in (("POST", "me/tokens"), ("PUT", "me/password"), ("PATCH", "me"), ("POST", "users")):
            assert api.refused(method, f"/api/v1/{path}", {}).status == 403


def test_a_wrong_name_takes_as_long_as_a_wrong_password(guarded: Archive) -> None:
    with http(guarded.address) as api:

        def fastest(name: str) -> float:
            took = []
            for _ in range(6):
                begun = time.monotonic()
                api.raw.post("/auth/v1/login", json={"username": name, "password": "not the password"})
                took.append(time.monotonic() - begun)
            return min(took)

        known, unknown, impossible = fastest("admin_user"), fastest("nobody"), fastest("a b")
        assert known / 2 < unknown < known * 2
        assert known / 2 < impossible < known * 2


def test_a_wrong_password_and_a_wrong_name_are_told_alike(guarded: Archive) -> None:
    with http(guarded.address) as api:
        said = set()
        for name in ("admin_user", "nobody", "' OR 1=1 --", "a\0b", "x" * 500, "1"):
            answer = api.raw.post("/auth/v1/login", json={"username": name, "password": "not the password"})
            said.add((answer.status_code, answer.text, *sorted(set(answer.headers) - {"date"})))
        assert len(said) == 1
    assert tokens(guarded.address, "admin_user")
