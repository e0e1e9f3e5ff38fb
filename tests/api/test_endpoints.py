"""Every endpoint: declared once, answered once, permitted as the protocol says, described, in both encodings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate
from tests.accounts import as_user, secure
from tests.factories import Http, Manager, add, complete, make_molecule

from qchive.api import Endpoint, endpoints
from qchive.server import handlers

ROWS = endpoints()
IDS = [f"{row.method} {row.path}" for row in ROWS]
JSON, MSGPACK = "application/json", "application/msgpack"


def address(row: Endpoint) -> str:
    """An address that fits the row: of record, molecule and attempt 1."""
    return re.sub(r"\{\w+\}|\{\w+:path\}", "stdout", re.sub(r"\{\w+:int\}", "1", row.path))


def test_no_address_is_declared_twice() -> None:
    assert [key for key, n in Counter((row.method, row.path) for row in ROWS).items() if n > 1] == []


def test_every_endpoint_has_one_handler() -> None:
    assert set(handlers.handlers(ROWS)) == {row.name for row in ROWS}


def test_every_endpoint_says_what_it_is_for() -> None:
    assert [row.path for row in ROWS if not row.doc.endswith(".")] == []


# --- what is described --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def described(shared_api: Http) -> dict[str, Any]:
    return shared_api.get("openapi_spec")  # type: ignore[no-any-return]


def test_the_openapi_document_is_valid(described: dict[str, Any]) -> None:
    validate(described)


def test_the_openapi_document_has_every_endpoint_and_nothing_else(described: dict[str, Any]) -> None:
    found = {(method.upper(), path) for path, by_method in described["paths"].items() for method in by_method}
    assert found == {(row.method, re.sub(r":\w+\}", "}", row.path)) for row in ROWS}
    operations = [o for by_method in described["paths"].values() for o in by_method.values()]
    assert max(Counter(o["operationId"] for o in operations).values()) == 1
    for operation in operations:
        assert operation["summary"]


def test_the_openapi_document_describes_bodies_and_bytes(described: dict[str, Any]) -> None:
    add_body = described["paths"]["/api/v1/records/singlepoint/bulkCreate"]["post"]["requestBody"]
    assert set(add_body["content"]) == {JSON, MSGPACK}
    assert described["components"]["schemas"]["SinglepointAdd"]["additionalProperties"] is False
    upload = described["paths"]["/api/v1/molecules/fromFiles"]["post"]["requestBody"]["content"]
    assert set(upload) == {"multipart/form-data"}


def test_the_list_of_routes_has_every_endpoint(shared_api: Http) -> None:
    listed = shared_api.get("all_routes")
    assert {(method, path) for path, by_method in listed.items() for method in by_method} == {
        (row.method, row.path) for row in ROWS
    }
    claim = listed["/compute/v1/tasks/claim"]["POST"]
    assert claim == {"endpoint": "tasks.claim", "method": "POST", "resource": "tasks", "action": "claim"}


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v1/information/"),
        ("GET", "/api/v1"),
        ("POST", "/compute/v1/tasks"),
        ("GET", "/api/v1/records/singlepoint/1/nothing"),
        ("GET", "/api/v1/records/singlepoint/1/trajectory"),
        ("GET", "/api/v1/records/optimization/1/wavefunction"),
        ("GET", "/api/v1/records/singlepoint/one"),
    ],
)
def test_an_unknown_address_is_not_found(shared_api: Http, method: str, path: str) -> None:
    answer = shared_api.raw.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")
    assert answer.json()["msg"].startswith("404 Not Found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/ping"),
        ("GET", "/api/v1/records/bulkGet"),
        ("GET", "/api/v1/records/singlepoint/bulkCreate"),
        ("GET", "/api/v1/records/singlepoint/query"),
        ("DELETE", "/api/v1/records/optimization/1"),
        ("POST", "/api/v1/records/optimization/1"),
        ("POST", "/api/v1/records/singlepoint/1/task"),
        ("GET", "/compute/v1/tasks/claim"),
        ("PUT", "/api/v1/records"),
        ("OPTIONS", "/api/v1/information"),
    ],
)
def test_a_wrong_method_is_named(shared_api: Http, method: str, path: str) -> None:
    answer = shared_api.raw.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "wrong_method")
    assert answer.json()["msg"] == f"405 Method Not Allowed: {method} {path}"


def test_an_unknown_record_type_is_named(shared_api: Http) -> None:
    for method, path in (
        ("POST", "nonsense/bulkCreate"),
        ("POST", "nonsense/bulkGet"),
        ("POST", "nonsense/query"),
        ("GET", "nonsense/1"),
        ("GET", "nonsense/1/task"),
    ):
        refusal = shared_api.refused(method, f"/api/v1/records/{path}")
        assert (refusal.status, refusal.reply["code"]) == (400, "unknown_kind")
        assert refusal.reply["msg"] == "Cannot find handler for type nonsense"


def test_two_slashes_are_one(shared_api: Http) -> None:
    ping = {"success": True, "authorized": True}
    for path in ("/api/v1/ping", "//api/v1/ping", "///api/v1/ping"):
        answer = shared_api.raw.get(shared_api.address + path)
        assert (answer.status_code, answer.json()) == (200, ping)


def test_both_families_say_the_same_about_the_server(shared_api: Http) -> None:
    said = shared_api.get("information")
    assert shared_api.ask("GET", "/compute/v1/information") == said
    for key in ("name", "version", "api_limits", "motd", "manager_heartbeat_frequency", "manager_heartbeat_max_missed"):
        assert key in said
    assert said["manager_version_lower_limit"] <= "0.71" <= said["manager_version_upper_limit"]
    assert len(said["api_limits"]) == 11
    assert shared_api.get("motd") == ""


def test_head_is_get_without_a_body(shared_api: Http) -> None:
    answer = shared_api.raw.head("/api/v1/ping")
    assert (answer.status_code, answer.content) == (200, b"")


# --- encodings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/html", JSON),
        (JSON, JSON),
        (MSGPACK, MSGPACK),
        ("APPLICATION/MSGPACK", MSGPACK),
        (f"{JSON}, {MSGPACK}", JSON),
        (f"{JSON};q=0.5, {MSGPACK}", MSGPACK),
        (f"{MSGPACK};q=0.2, {JSON};q=0.9", JSON),
        (f"{MSGPACK};q=0", JSON),
        (f"text/html, {MSGPACK};q=0.1", MSGPACK),
        (f"{MSGPACK};q=rubbish", JSON),
        (";;;,,/=", JSON),
    ],
)
def test_the_answer_comes_as_accepted_with_a_bare_content_type(
    shared_api: Http, accept: str | None, wanted: str
) -> None:
    request = shared_api.raw.build_request("GET", "/api/v1/ping")
    request.headers.pop("accept")
    if accept is not None:
        request.headers["accept"] = accept
    answer = shared_api.raw.send(request)
    assert answer.headers["content-type"] == wanted
    decoder: Any = msgspec.json.decode if wanted == JSON else msgspec.msgpack.decode
    assert decoder(answer.content)["success"] is True


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=x"])
def test_a_charset_on_a_request_is_accepted(shared_api: Http, kind: str) -> None:
    answer = shared_api.raw.post("/api/v1/records/query", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_errors_are_json_whatever_was_accepted(shared_api: Http) -> None:
    headers = {"Accept": MSGPACK, "Content-Type": MSGPACK}
    for path in ("/api/v1/nothing", "/api/v1/records/99999", "/api/v1/records/x/1"):
        answer = shared_api.raw.get(path, headers=headers)
        assert answer.headers["content-type"] == JSON
        assert answer.json()["msg"]


def plain(value: Any) -> Any:
    """A MessagePack answer as JSON would carry it."""
    if isinstance(value, bytes):
        return {"_bytes_base64_": msgspec.to_builtins(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def filled(databases: Any) -> Iterator[Http]:
    """A server with a finished and a waiting record of each kind, and what belongs to them, as its admin sees it."""
    with secure(databases) as server, as_user(server.address, "admin_user") as api:
        for kind in ("singlepoint", "optimization"):
            complete(api, kind, stdout="text")
        add(api, molecules=[make_molecule()])
        manager = Manager(api)
        manager.claim(1)
        api.patch("records", {"record_ids": [1], "comment": "seen"})
        api.post("groups", {"groupname": "stdout"})
        api.post("users", [{"username": "stdout", "role": "read", "enabled": True, "groups": ["stdout"]}, None])
        for whose in ("me", "users/stdout"):
            api.post(f"{whose}/tokens", {"name": "one"})
        yield api


BODIES: dict[str, Any] = {
    "bulkGet": {"ids": [1, 2, 3, 99], "missing_ok": True, "include": ["**"]},
    "query": {},
    "queryActive": {"programs": {}},
}
BOTH = [row for row in ROWS if row.method == "GET" or row.path.rpartition("/")[2] in BODIES]


@pytest.mark.parametrize("row", BOTH, ids=[f"{row.method} {row.path}" for row in BOTH])
def test_both_encodings_say_the_same(filled: Http, row: Endpoint) -> None:
    body = BODIES.get(row.path.rpartition("/")[2], ...)
    if row.path.endswith("managers/bulkGet"):
        body = {"names": [m["name"] for m in filled.post("managers/query", {})]}
    path = address(row).replace("managers/stdout", f"managers/{filled.post('managers/query', {})[0]['name']}")
    if row.kind is not None and row.kind.name == "optimization":
        path = path.replace("/1", "/2", 1)
    answers = []
    for encoding, decoder in ((JSON, msgspec.json.decode), (MSGPACK, msgspec.msgpack.decode)):
        content: Any = None
        if body is not ...:
            content = msgspec.json.encode(body) if encoding == JSON else msgspec.msgpack.encode(body)
        headers = {"Content-Type": encoding, "Accept": encoding}
        answer = filled.raw.request(row.method, path, content=content, headers=headers)
        assert answer.status_code in (200, 400), answer.text
        right = encoding if answer.status_code == 200 else JSON
        assert answer.headers["content-type"] == right
        answers.append(plain((decoder if right == encoding else msgspec.json.decode)(answer.content)))  # type: ignore[operator]
    assert answers[0] == answers[1]


def test_a_request_in_messagepack_is_understood(shared_api: Http) -> None:
    body = {
        "specification": {"program": "psi4", "driver": "energy", "method": "hf", "basis": None},
        "molecules": [make_molecule()],
    }
    meta, ids = shared_api.post("records/singlepoint/bulkCreate", body, encoding=MSGPACK)
    assert meta["inserted_idx"] == [0]
    assert len(ids) == 1


def test_bytes_are_taken_in_their_json_form_in_messagepack_too(shared_api: Http) -> None:
    manager = Manager(shared_api)
    for data in (b"rubbish", {"_bytes_base64_": "cnViYmlzaA=="}):
        body = {"name_data": manager.name_data, "results_compressed": {7: data}}
        answer = shared_api.ask("POST", "/compute/v1/tasks/return", body, encoding=MSGPACK)
        assert answer["rejected_info"] == [[7, "Task does not exist in the task queue"]]
