"""The log of errors: what nobody foresaw is kept with its request, without secrets, under the id people are told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.accounts import as_user, secure
from tests.archive import prepared, running
from tests.factories import Http, Manager, add, http, make_result, sql, until

from qchive.server.faults import Fault, fault
from qchive.server.seen import NOW, Seen
from qchive.server.settings import Settings

BROKEN = "ALTER TABLE comment RENAME TO gone"


def kept(api: Http, **filters: Any) -> list[dict[str, Any]]:
    until(lambda: api.post("server_errors/query", filters))
    return api.post("server_errors/query", filters)  # type: ignore[no-any-return]


def test_an_error_is_kept_under_the_id_that_its_answer_names(databases: Any) -> None:
    with secure(databases) as server, as_user(server.address, "maintain_user") as api:
        sql(server.conninfo, BROKEN)
        secret = {"Cookie": "a=b", "X-Api-Key": "k", "Proxy-Authorization": "Basic xyz"}
        address = f"/api/v1/records/{add(api)[0]}?include=comments"
        answer = api.raw.get(address, headers={**secret, "X-Request-ID": "r-1"})
        assert answer.status_code == 500
        error_id = answer.json()["error_id"]
        (entry,) = kept(api, error_id=[error_id])
        me = api.get("me")["id"]
        assert kept(api, user=[me]) == kept(api, user=["maintain_user"]) == [entry]
        assert api.post("server_errors/query", {"user": [me + 1]}) == []
    assert entry["id"] == error_id
    assert 'relation "comment" does not exist' in entry["error_text"]
    assert entry["error_text"].startswith("Traceback")
    assert (entry["request_path"], entry["user"]) == (address, "maintain_user")
    headers = json.loads(entry["request_headers"])
    assert {headers[name.lower()] for name in (*secret, "Authorization")} == {"<removed>"}
    assert headers["x-request-id"] == "r-1"
    assert entry["error_date"].endswith("Z")


@pytest.mark.parametrize(
    ("comment", "wanted"),
    [
        ("x" * 9000, r"^b'\{.*x{7000}"),
        ("my password is dragon", "^<removed: [0-9]+ bytes that may hold a password>$"),
        ("a\x00b".replace("\x00", "\\u0000 é"), "^b'.*'$"),
    ],
)
def test_bodies_are_cut_and_passwords_left_out(archive: Any, api: Http, comment: str, wanted: str) -> None:
    ids = add(api)
    sql(archive.conninfo, "ALTER TABLE operation RENAME TO gone")
    assert api.refused("PATCH", "/api/v1/records", {"record_ids": ids, "comment": comment}).status == 500
    (entry,) = kept(api)
    assert re.search(wanted, entry["request_body"])
    assert len(entry["request_body"]) <= 8192
    assert "dragon" not in str(entry)


def test_nul_in_an_address_breaks_no_log(archive: Any, api: Http) -> None:
    sql(archive.conninfo, BROKEN)
    asked = f"/api/v1/records/{add(api)[0]}?include=comments&include=%00"
    assert api.raw.get(asked).status_code == 500
    assert kept(api)[0]["request_path"] == asked


def test_errors_are_found_and_removed(archive: Any, api: Http) -> None:
    sql(
        archive.conninfo,
        "INSERT INTO server_error (id, error_date, version, error_text, username)"
        " SELECT n, timestamptz '2020-01-01Z' + make_interval(days => n), '1', 'text', CASE n WHEN 2 THEN 'ann' END"
        " FROM generate_series(1, 4) AS t (n)",
    )
    for filters, wanted in (
        ({}, [4, 3, 2, 1]),
        ({"cursor": 4, "limit": 2}, [3, 2]),
        ({"error_id": [1, 3, 9]}, [3, 1]),
        ({"user": ["ann"]}, [2]),
        ({"before": "2020-01-03T00:00:00Z"}, [2, 1]),
        ({"after": "2020-01-03T00:00:00Z"}, [4, 3, 2]),
    ):
        assert [entry["id"] for entry in api.post("server_errors/query", filters)] == wanted
    assert api.post("server_errors/bulkDelete", {"before": "2020-01-03T00:00:00Z"}) == 1
    assert api.refused("POST", "/api/v1/server_errors/bulkDelete", {}).status == 400


def test_people_see_all_of_it_if_the_server_hides_nothing(databases: Any) -> None:
    settings = Settings(hide_internal_errors=False)
    with prepared(databases) as conninfo, running(conninfo, settings) as server, http(server.address) as api:
        sql(conninfo, BROKEN)
        refusal = api.refused("GET", f"/api/v1/records/{add(api)[0]}", include="comments")
        assert refusal.reply["msg"].startswith("Traceback")
        assert 'relation "comment" does not exist' in refusal.reply["msg"]
        assert str(refusal.reply["error_id"]) in refusal.reply["msg"]


def test_a_result_that_cannot_be_stored_leaves_its_error(archive: Any, api: Http) -> None:
    sql(archive.conninfo, "ALTER TABLE result ADD CHECK (octet_length(properties) < 500)")
    add(api)
    manager = Manager(api)
    (task,) = manager.claim()
    refused = manager.give_one(task["id"], make_result(task) | {"properties": {"long": "x" * 600}})
    assert refused is not None
    assert str(kept(api)[0]["id"]) in refused


def test_what_people_do_wrong_is_no_error_of_the_server(archive: Any, api: Http) -> None:
    for path in ("/api/v1/records/99", "/nothing"):
        assert api.raw.get(path).status_code >= 400
    assert api.post("server_errors/query", {}) == []


@pytest.mark.parametrize(
    "path", ["/auth/v1/login", "/api/v1/users", "/api/v1/users/ann/password", "/api/v1/me/password"]
)
def test_bodies_of_requests_about_accounts_are_left_out_whatever_they_say(path: str) -> None:
    request = {"type": "http", "path": path, "headers": [], "query_string": b"", "client": None}
    seen = Seen(request, send=None, watch=None)  # type: ignore[arg-type]
    seen.read(b'[{"username": "ann"}, "dragon"]')
    token = NOW.set(seen)
    kept: list[Fault] = []
    try:
        with pytest.raises(AttributeError):  # nobody watches it
            fault(ValueError("x"), "a test", kept.append)
    finally:
        NOW.reset(token)
    assert kept[0].request_body == "<removed: 31 bytes that may hold a password>"
