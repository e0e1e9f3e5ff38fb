"""Bad input: a clear refusal, nothing changed, and the server goes on."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlparse

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.archive import prepared, running
from tests.factories import SPEC, Http, Manager, add, http, make_molecule, make_result, packed, sql, unpacked

from qchive.api import endpoints
from qchive.server.settings import Settings

ADD = "/api/v1/records/singlepoint/bulkCreate"
QUERY = "/api/v1/records/query"
JSON = {"Content-Type": "application/json"}
MSGPACK = {"Content-Type": "application/msgpack"}
TABLES = ("record", "molecule", "specification", "requirement", "worker", "attempt", "comment", "operation")


def counts(archive: Any) -> list[tuple[Any, ...]]:
    return sql(archive.conninfo, "SELECT " + ", ".join(f"(SELECT count(*) FROM {t})" for t in TABLES))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def adding(**spec: Any) -> bytes:
    return msgspec.json.encode({"specification": {**SPEC, **spec}, "molecules": [make_molecule(1)]})


# --- bodies -------------------------------------------------------------------------------------------------------

BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (b"", JSON),
    "no content type": (b"{}", {}),
    "an unknown content type": (b"{}", {"Content-Type": "application/xml"}),
    "form data": (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
    "cut off": (b'{"record_id": [1', JSON),
    "trailing text": (b"{} {}", JSON),
    "no object": (b"[1]", JSON),
    "null": (b"null", JSON),
    "invalid UTF-8": (b'{"manager_name": ["\xff"]}', JSON),
    "a lone surrogate": (rb'{"manager_name": ["\ud800 and more text"]}', JSON),
    "an unknown key": (b'{"ids": [1]}', JSON),
    "a wrong type": (b'{"record_id": "1"}', JSON),
    "a wrong type in a list": (b'{"record_id": [1, null]}', JSON),
    "a boolean for a number": (b'{"record_id": [true]}', JSON),
    "a fraction for a number": (b'{"record_id": [1.5]}', JSON),
    "a huge number": (b'{"record_id": [9223372036854775808]}', JSON),
    "a hugely negative number": (b'{"record_id": [-9223372036854775809]}', JSON),
    "an endless number": (b'{"record_id": [' + b"9" * 5000 + b"]}", JSON),
    "a float out of range": (b'{"record_id": [1e999]}', JSON),
    "NaN": (b'{"limit": NaN}', JSON),
    "a negative limit": (b'{"limit": -1}', JSON),
    "a huge limit": (b'{"limit": 2147483648}', JSON),
    "a huge cursor": (b'{"cursor": 9223372036854775808}', JSON),
    "NUL in text": (rb'{"manager_name": ["a\u0000b"]}', JSON),
    "an unknown status": (b'{"status": ["lost"]}', JSON),
    "no date": (b'{"created_after": "yesterday"}', JSON),
    "a date far away": (b'{"created_after": "99999-01-01T00:00:00"}', JSON),
    "nested without end": (b"[" * 100_000, JSON),
    "an object nested without end": (b'{"record_id":' * 50_000, JSON),
    "JSON as MessagePack": (b"{}", MSGPACK),
    "MessagePack as JSON": (msgspec.msgpack.encode({"limit": 1}), JSON),
    "MessagePack cut off": (b"\x81\xa5limit", MSGPACK),
    "MessagePack with text that is none": (
        b"\x81\xacmanager_name\x91\xa1\xff",
        {"Content-Type": "application/msgpack"},
    ),
    "MessagePack nested without end": (b"\x91" * 100_000, MSGPACK),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_makes_no_sense_is_refused(shared_api: Http, what: str) -> None:
    body, headers = BODIES[what]
    answer = shared_api.raw.post(QUERY, content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] == "invalid_body"
    assert answer.json()["msg"]


ADDED: dict[str, tuple[bytes, str]] = {
    "keywords with whole numbers beyond 64 bits": (adding(keywords={"x": 2**64}), "invalid_specification"),
    "keywords nested deeply": (adding(keywords={"x": nested(120)}), "invalid_specification"),
    "keywords nested very deeply": (adding(keywords={"x": nested(900)}), "invalid_specification"),
    "keywords that are no map": (adding(keywords=[1]), "invalid_body"),
    "no program": (adding(program=""), "invalid_body"),
    "NUL in the method": (adding(method="a\0"), "invalid_body"),
    "a method too long": (adding(method="x" * 101), "invalid_body"),
    "a basis too long": (adding(basis="x" * 101), "invalid_body"),
    "an unknown driver": (adding(driver="dipole"), "invalid_body"),
    "an unknown protocol": (adding(protocols={"stdin": True}), "invalid_body"),
    "an unknown key of the specification": (adding(maxiter=1), "invalid_body"),
    "no specification": (b'{"molecules": [1]}', "invalid_body"),
    "no molecules": (msgspec.json.encode({"specification": SPEC}), "invalid_body"),
    "molecules that are text": (msgspec.json.encode({"specification": SPEC, "molecules": ["H2"]}), "invalid_body"),
    "a bad molecule": (
        msgspec.json.encode({"specification": SPEC, "molecules": [{"symbols": []}]}),
        "invalid_molecule",
    ),
    "a molecule id without end": (
        msgspec.json.encode({"specification": SPEC, "molecules": [2**63]}),
        "invalid_body",
    ),
    "a tag too long for an index": (
        msgspec.json.encode({"specification": SPEC, "molecules": [make_molecule(1)], "compute_tag": "x" * 10_000}),
        "invalid_body",
    ),
    "an unknown priority": (
        msgspec.json.encode({"specification": SPEC, "molecules": [make_molecule(1)], "compute_priority": 7}),
        "invalid_body",
    ),
}


@pytest.mark.parametrize("what", ADDED)
def test_records_that_make_no_sense_are_refused_and_leave_nothing(shared: Any, shared_api: Http, what: str) -> None:
    body, code = ADDED[what]
    before = counts(shared)
    answer = shared_api.raw.post(ADD, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert counts(shared) == before


def test_keywords_that_only_messagepack_could_carry_are_refused(shared_api: Http) -> None:
    for value in ({None: 1}, msgspec.msgpack.Ext(5, b"x")):
        body = {"specification": {**SPEC, "keywords": {"x": value}}, "molecules": [1]}
        answer = shared_api.raw.post(ADD, content=msgspec.msgpack.encode(body), headers=MSGPACK)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_specification")


def test_odd_but_possible_keywords_reach_the_program_as_they_were(api: Http) -> None:
    keywords = {"big": 2**63, "nul\0": "a\0b", "text": "\\u0000", "list": [None, True, -0.0, 1e16], "ünï": "✓"}
    (record_id,) = add(api, spec={**SPEC, "keywords": keywords})
    assert api.record(record_id)["specification"]["keywords"] == keywords
    (task,) = Manager(api).claim()
    assert unpacked(task["function_kwargs_compressed"])["input_data"]["keywords"] == keywords


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/records/99999999999999999999999", 400),
        ("/api/v1/records/" + "9" * 6000, 404),
        ("/api/v1/records/9223372036854775808/waiting_reason", 400),
        ("/api/v1/records/9223372036854775807/waiting_reason", 200),
        ("/api/v1/records/-1", 404),
        ("/api/v1/records/1.5", 404),
        ("/api/v1/records/singlepoint/99999999999999999999/task", 400),
        ("/api/v1/records/singlepoint/1/compute_history/99999999999999999999/outputs", 400),
        ("/api/v1/molecules/99999999999999999999", 400),
        ("/api/v1/managers/a%00b", 400),
        ("/api/v1/managers/%ff%fe", 400),
        ("/api/v1/managers/..%2F..%2Fetc", 400),
        ("/api/v1/records/1?include=a%00b", 400),
        ("/api/v1/records/1?unknown=1", 400),
        ("/api/v1/records/1?limit=1", 400),
        ("/api/v1/molecules/1?include=%ff", 400),
        ("/api/v1/records/nonsense/1", 400),
        ("/%00", 404),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(shared_api: Http, path: str, status: int) -> None:
    answer = shared_api.raw.get(path)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["msg"]


# --- sizes --------------------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_whether_or_not_it_says_so(databases: Any) -> None:
    with (
        prepared(databases) as conninfo,
        running(conninfo, Settings(max_body=10_000)) as server,
        http(server.address) as api,
    ):
        long = msgspec.json.encode({"manager_name": ["x" * 20_000]})
        stated = api.raw.post(QUERY, content=long, headers=JSON)
        silent = api.raw.post(QUERY, content=iter([long[:9000], long[9000:]]), headers=JSON)
        upload = api.raw.post("/api/v1/molecules/fromFiles", files={"files": ("a.xyz", b"x" * 20_000)})
        for answer in (stated, silent, upload):
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert api.post("records/query", {}) == []


# --- clients that hang up -----------------------------------------------------------------------------------------


def raw_request(archive: Any, head: str, body: bytes) -> socket.socket:
    """A connection over which a request was sent."""
    where = urlparse(archive.address)
    connection = socket.create_connection((where.hostname, where.port), timeout=10)
    connection.sendall(head.replace("\n", "\r\n").encode() + body)
    return connection


HEAD = "POST {path} HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {length}\n\n"


def test_a_client_that_hangs_up_in_the_middle_changes_nothing(archive: Any, api: Http) -> None:
    body = msgspec.json.encode({"specification": SPEC, "molecules": [make_molecule(n) for n in range(100)]})
    head = HEAD.format(path=ADD, length=len(body))
    for sent in (b"", body[:1], body[: len(body) // 2], body[:-1]):
        raw_request(archive, head, sent).close()
    raw_request(archive, head[:40], b"").close()
    assert api.post("records/query", {}) == []
    assert counts(archive) == [(0,) * len(TABLES)]


def test_a_client_that_does_not_wait_for_its_answer_gets_its_work_done(archive: Any, api: Http) -> None:
    body = adding()
    with raw_request(archive, HEAD.format(path=ADD, length=len(body)), body) as connection:
        # What was read to its end is carried out wholly: the answer begins to come only then.
        assert connection.recv(1) == b"H"
    assert len(api.post("records/query", {})) == 1


def test_a_result_cut_off_by_its_manager_is_not_taken(archive: Any, api: Http) -> None:
    (record_id,) = add(api)
    manager = Manager(api)
    (task,) = manager.claim()
    results = {str(task["id"]): packed(make_result(task))}
    body = msgspec.json.encode({"name_data": manager.name_data, "results_compressed": results})
    head = HEAD.format(path="/compute/v1/tasks/return", length=len(body))
    raw_request(archive, head, body[:-10]).close()
    assert api.statuses([record_id]) == ["running"]
    assert manager.give_one(task["id"], make_result(task)) is None


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/records/query HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/records/query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/v1/ping HTTP/1.1\r\nHost: x\r\nAccept: \xff\xfe\r\n\r\n",
    ],
)
def test_what_is_not_http_does_not_disturb(shared: Any, shared_api: Http, rubbish: bytes) -> None:
    where = urlparse(shared.address)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(rubbish)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    assert b" 500 " not in answer
    assert shared_api.get("ping")["success"]


# --- anything at all ----------------------------------------------------------------------------------------------

WORDS = sorted(
    {
        name
        for row in endpoints()
        if isinstance(row.body, type) and issubclass(row.body, msgspec.Struct)
        for name in row.body.__struct_fields__
    }
    | set(make_molecule(1))
    | set(SPEC)
    | {"cluster", "hostname", "uuid", "_bytes_base64_"}
)
TEXT = st.text(max_size=8) | st.sampled_from([*WORDS, "waiting", "energy", "*", "He", "", "\0", "2020-01-01", "psi4"])
NUMBERS = st.integers(-(2**66), 2**66) | st.integers(-2, 5) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
ROWS = [row for row in endpoints() if not row.upload]


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes | None]:
    """Something to ask: often with the right keys, seldom with the right values."""
    row = draw(st.sampled_from(ROWS))
    path = row.path
    for name in ("record_id", "history_id", "molecule_id"):
        path = path.replace(f"{{{name}:int}}", str(draw(st.integers(0, 3))))
    for name in ("output_type}", "name:path}", "name}"):
        path = path.replace("{" + name, draw(st.sampled_from(["stdout", "x", "%20"])))
    if row.body is None:
        return row.method, path, None
    if isinstance(row.body, type) and issubclass(row.body, msgspec.Struct):
        fields = st.sampled_from(row.body.__struct_fields__)
        body = draw(st.dictionaries(fields, VALUES, max_size=6) | VALUES)
    else:
        body = draw(st.lists(VALUES, max_size=3))
    return row.method, path, msgspec.json.encode(body)


@settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=requests())
@example(asked=("POST", "/api/v1/records/query", b'{"owner_user": [1, "a", 36893488147419103232]}'))
@example(asked=("POST", "/api/v1/records/singlepoint/query", b'{"keywords": [{"a": "\\\\u0000"}]}'))
@example(asked=("POST", "/api/v1/molecules/query", b'{"molecule_hash": ["xyz", "ab"], "limit": 1}'))
def test_no_request_brings_the_server_to_fail(shared_api: Http, asked: tuple[str, str, bytes | None]) -> None:
    method, path, body = asked
    answer = shared_api.raw.request(method, path, content=body, headers=JSON)
    assert answer.status_code < 500, f"{method} {path} {body!r}: {answer.text}"
    if answer.status_code != 200:
        assert answer.json()["msg"]
