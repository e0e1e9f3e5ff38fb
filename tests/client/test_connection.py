"""Reaching a server: addresses, paths, parameters, retries; against a small real HTTP server in a thread."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
import pytest

from qchive import errors, wire
from qchive.api import about, records
from qchive.api.endpoint import Endpoint, Projection
from qchive.client.connection import Connection, filled, normalised, parameters
from tests.client.small_server import as_json, server

PING = {"success": True, "authorized": True}
ADD = Endpoint(name="thing.add", method="POST", path="/api/v1/things", may=None, doc="", body=dict, answer=Any)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("example.org", "https://example.org/"),
        ("example.org/qca/", "https://example.org/qca/"),
        ("http://example.org:7777", "http://example.org:7777/"),
        ("localhost:7777", "http://localhost:7777/"),
        ("127.0.0.1:7777", "http://127.0.0.1:7777/"),
        ("[::1]:7777", "http://[::1]:7777/"),
        ("https://localhost", "https://localhost/"),
        (" 10.0.0.1 ", "https://10.0.0.1/"),
    ],
)
def test_addresses_get_a_scheme_and_one_slash(given: str, expected: str) -> None:
    assert normalised(given) == expected


@pytest.mark.parametrize("address", ["", "ftp://example.org", "https://", "http:///path"])
def test_what_names_no_host_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no address of a server"):
        normalised(address)


def test_path_parts_are_quoted() -> None:
    assert filled("/a/{x:int}/{name}", {"x": 3, "name": "b c/d"}) == "/a/3/b%20c%2Fd"
    assert filled("/m/{name:path}", {"name": "b c/d"}) == "/m/b%20c/d"


def test_missing_and_surplus_path_parts_are_told() -> None:
    with pytest.raises(TypeError, match="record_id"):
        filled(records.GET.path, {})
    with pytest.raises(TypeError, match="surplus"):
        filled(about.PING.path, {"surplus": 1})


def test_parameters_repeat_lists_and_leave_none_out() -> None:
    assert parameters(Projection(include=["a", "b"])) == {"include": ["a", "b"]}
    assert parameters({"flag": True, "n": 3}) == {"flag": ["true"], "n": ["3"]}
    assert parameters(None) == {}


def test_an_answer_is_decoded_as_declared() -> None:
    with server(lambda n: as_json(PING | {"more": 1})) as (url, asked), Connection(url + "/prefix") as connection:
        assert connection.ask(about.PING) == about.Ping(success=True, authorized=True)
    method, path, headers, _ = asked[0]
    assert (method, path) == ("GET", "/prefix/api/v1/ping")
    assert headers["Accept"] == wire.JSON
    assert headers["User-Agent"].startswith("qchive/")


def test_a_charset_in_the_answer_does_no_harm() -> None:
    with (
        server(lambda n: as_json(PING, content_type="application/json; charset=utf-8")) as (url, _),
        Connection(url) as connection,
    ):
        assert connection.ask(about.PING).success


def test_bodies_travel_in_the_chosen_encoding() -> None:
    packed = (200, {"Content-Type": wire.MSGPACK}, msgspec.msgpack.encode({"x": b"1"}))
    with server(lambda n: packed) as (url, asked), Connection(url, encoding=wire.MSGPACK) as connection:
        assert connection.ask(ADD, body={"data": wire.Bytes(b"\x00\xff")}) == {"x": b"1"}
    assert asked[0][2]["Content-Type"] == wire.MSGPACK
    assert msgspec.msgpack.decode(asked[0][3]) == {"data": b"\x00\xff"}


def test_the_error_of_the_server_is_raised_here() -> None:
    refusal = errors.NotFound("Could not find all requested records", missing=[7]).reply()
    with (
        server(lambda n: as_json(refusal, 400)) as (url, asked),
        Connection(url) as connection,
        pytest.raises(errors.NotFound, match="requested records") as caught,
    ):
        connection.ask(about.PING)
    assert caught.value.fields == {"missing": [7]}
    assert len(asked) == 1


def test_an_error_without_a_code_keeps_message_and_status() -> None:
    with (
        server(lambda n: as_json({"msg": "Server requires login"}, 401)) as (url, _),
        Connection(url) as connection,
        pytest.raises(errors.RequestFailed, match="requires login") as caught,
    ):
        connection.ask(about.PING)
    assert caught.value.status_code == 401


def test_a_page_instead_of_an_answer_is_told() -> None:
    page = (200, {"Content-Type": "text/html"}, b"<html>")
    with (
        server(lambda n: page) as (url, _),
        Connection(url) as connection,
        pytest.raises(errors.RequestFailed, match="text/html"),
    ):
        connection.ask(about.PING)


def test_an_error_page_tells_the_status() -> None:
    page = (502, {"Content-Type": "text/html"}, b"<html>")
    with (
        server(lambda n: page) as (url, _),
        Connection(url) as connection,
        pytest.raises(errors.RequestFailed, match="502"),
    ):
        connection.ask(about.PING)


def test_a_redirect_names_its_target() -> None:
    moved = (301, {"Location": "https://elsewhere.example"}, b"")
    with (
        server(lambda n: moved) as (url, _),
        Connection(url) as connection,
        pytest.raises(errors.RequestFailed, match=r"elsewhere\.example"),
    ):
        connection.ask(about.PING)


def test_a_broken_connection_is_tried_again() -> None:
    with (
        server(lambda n: as_json(PING) if n == 3 else None) as (url, asked),
        Connection(url, retry_delay=0.001) as connection,
    ):
        assert connection.ask(about.PING).success
    assert len(asked) == 3


def test_a_database_that_is_away_is_waited_for() -> None:
    away = errors.Unavailable("The database is away").reply()
    with (
        server(lambda n: as_json(PING) if n == 2 else as_json(away, 503)) as (url, asked),
        Connection(url, retry_delay=0.001) as connection,
    ):
        assert connection.ask(about.PING).success
    assert len(asked) == 2


def test_what_may_have_arrived_is_not_repeated_unasked() -> None:
    with (
        server(lambda n: None) as (url, asked),
        Connection(url, retry_delay=0.001) as connection,
        pytest.raises(errors.ServerUnreachable),
    ):
        connection.ask(ADD, body={}, repeatable=False)
    assert len(asked) == 1


def test_without_retries_there_is_one_attempt() -> None:
    with (
        server(lambda n: None) as (url, asked),
        Connection(url, retry_delay=0.001) as connection,
        pytest.raises(errors.ServerUnreachable),
    ):
        connection.ask(about.PING, retries=False)
    assert len(asked) == 1


def test_an_unreachable_server_is_named_after_all_retries(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        connection = Connection(address, retry_max=2, retry_delay=0.001)
        with connection, pytest.raises(errors.ServerUnreachable, match=address):
            connection.ask(about.PING)
    assert caplog.text.count("trying again") == 2


def test_pauses_grow_and_jitter() -> None:
    with Connection("localhost") as connection:
        pauses = list(connection._pauses(5))
    for pause, expected in zip(pauses, [0.5, 1, 2, 4, 8], strict=True):
        assert pause == pytest.approx(expected, rel=0.05)


def test_files_travel_beside_the_body() -> None:
    upload = Endpoint(name="x.y", method="POST", path="/up", may=None, doc="", upload=True, answer=Any)
    with server(lambda n: as_json(None)) as (url, asked), Connection(url) as connection:
        assert connection.ask(upload, body={"dummy": True}, files={"a.xyz": b"1\n\nHe 0 0 0"}) is None
    _, _, headers, body = asked[0]
    assert headers["Content-Type"].startswith("multipart/form-data")
    assert b'name="files"; filename="a.xyz"' in body
    assert b'name="body_data"' in body
    assert b"application/json" in body
