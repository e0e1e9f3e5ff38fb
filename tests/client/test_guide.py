"""Our client tells the user's guide to managing records as it is printed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from qchive import PortalClient, wire
from tests import guide
from tests.accounts import PASSWORD

UTC = "datetime.timezone.utc"


@pytest.fixture
def client(databases: Any, encoding: str) -> Iterator[PortalClient]:
    with guide.archive(databases) as server, PortalClient(server.address, encoding=encoding) as client:
        yield client


@pytest.mark.parametrize("lists", [False, True], ids=["ids", "lists"])
@pytest.mark.parametrize("encoding", [wire.JSON, wire.MSGPACK])
def test_the_guide_runs_as_it_is_printed(
    client: PortalClient, lists: bool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING, logger="qchive")
    names = guide.told(client, lists=lists)
    comments = guide.comments().fullmatch(str(names["r"].comments))
    assert comments is not None, names["r"].comments
    assert comments[1] == UTC, "times are in UTC and say so"
    assert caplog.records == [], "the guide's names of tag and priority are as good as the newer ones"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("encoding", [wire.JSON, wire.MSGPACK])
def test_ben_tells_the_guide_and_comments_under_his_name(databases: Any, encoding: str) -> None:
    with (
        guide.archive_of_ben(databases) as server,
        PortalClient(server.address, guide.BEN, PASSWORD, encoding=encoding) as client,
    ):
        names = guide.told(client)
        comments = guide.comments(guide.BEN).fullmatch(str(names["r"].comments))
        assert comments is not None, names["r"].comments
        assert comments[1] == UTC
