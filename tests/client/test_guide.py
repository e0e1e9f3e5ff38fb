"""Our client tells the user's guide to managing records as it is printed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from qchive import PortalClient, wire
from tests import guide

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
    comments = guide.COMMENTS.fullmatch(str(names["r"].comments))
    assert comments is not None, names["r"].comments
    assert comments[1] == UTC, "times are in UTC and say so"
    assert caplog.records == [], "the guide's names of tag and priority are as good as the newer ones"
    assert capsys.readouterr() == ("", "")
