"""Meeting a server: what it says about itself, what can be set, how it looks in a notebook."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from qchive import PortalClient, errors, wire
from tests.client.small_server import INFORMATION, as_json, server


def test_the_message_of_the_day_is_printed_unless_unwanted(capsys: pytest.CaptureFixture[str]) -> None:
    with server(lambda n: as_json(INFORMATION)) as (url, _):
        PortalClient(url).close()
        assert capsys.readouterr().out == "Down on Friday\n"
        PortalClient(url, show_motd=False).close()
        assert capsys.readouterr().out == ""


def test_a_client_shows_itself_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    with server(lambda n: as_json(INFORMATION | {"name": "a <b>"})) as (url, _), PortalClient(url, "ann") as client:
        assert repr(client) == f"PortalClient(server_name='a <b>', address='{url}/', username='ann')"
        assert "a &lt;b&gt;" in client._repr_html_()


def test_how_to_connect_can_be_set_later() -> None:
    with server(lambda n: as_json(INFORMATION)) as (url, _), PortalClient(url, retry_max=2) as client:
        assert (client.retry_max, client.timeout, client.encoding) == (2, 60.0, wire.JSON)
        client.retry_max, client.timeout, client.encoding = 7, 3.0, wire.MSGPACK
        assert (client.connection.retry_max, client.connection.timeout) == (7, 3.0)
        assert client.connection.encoding == wire.MSGPACK
        with pytest.raises(ValueError, match="no encoding"):
            client.encoding = "text/plain"


def test_misspelt_options_are_refused() -> None:
    with pytest.raises(TypeError, match="usrname"):
        PortalClient("localhost:1", usrname="ann")


def test_a_token_and_a_password_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="not both"):
        PortalClient("localhost:1", "ann", "secret", api_token="qcf_x")


@pytest.mark.parametrize("token", ["", "abc", "qcf_", "qcf_ü", "qcf_" + "x" * 125])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="no API token"):
        PortalClient("localhost:1", api_token=token)


def test_ping_tells_whether_somebody_answers() -> None:
    with server(lambda n: as_json(INFORMATION | {"success": True, "authorized": True})) as (url, _):
        client = PortalClient(url, show_motd=False, retry_max=0)
        assert client.ping()
    with client:
        assert not client.ping()


def test_what_is_no_archive_is_told() -> None:
    with (
        server(lambda n: as_json({"hello": "world"})) as (url, _),
        pytest.raises(errors.RequestFailed, match="api/v1/information"),
    ):
        PortalClient(url)


def test_chunks_grow_with_quick_answers_up_to_the_limit() -> None:
    with server(lambda n: as_json(INFORMATION)) as (url, _), PortalClient(url, show_motd=False) as client:
        asked: list[list[Any]] = []

        def ask(ids: list[Any]) -> list[Any]:
            asked.append(ids)
            return ids

        assert list(client.in_chunks(list(range(100)), 30, ask)) == list(range(100))
        sizes = [len(ids) for ids in asked]
        assert sizes[0] == 3
        assert all(b <= 4 * a for a, b in itertools.pairwise(sizes))
        assert max(sizes) == 30
