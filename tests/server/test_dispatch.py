"""Whoever answers an address is who Starlette would have found."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.requests import Request
from starlette.routing import Match, Route

from qchive.api import endpoints
from qchive.kinds import KINDS
from qchive.server.bind import routes
from qchive.server.dispatch import Addresses
from qchive.server.handlers import handlers

ROWS = endpoints(KINDS)
ROUTES = routes(ROWS, handlers(ROWS))
FILLED = sorted(
    {re.sub(r"{\w+(:\w+)?}", text, route.path) for route in ROUTES for text in ("7", "007", "name", "a b", "٣", "")}
)
ODD = ["", "/", "/api", "/api/v1/ping/", "/api//v1/ping", "/api/v1/records/singlepoint/7/", "/api/v1/records/-1"]


def by_starlette(method: str, path: str) -> tuple[Any, dict[str, Any]] | None:
    scope = {"type": "http", "method": method, "path": path, "root_path": ""}
    for route in ROUTES:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return found["endpoint"], found["path_params"]
    return None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT"])
def test_an_address_leads_where_starlette_would_lead(method: str) -> None:
    addresses = Addresses(ROUTES)
    for path in [*FILLED, *ODD]:
        found = addresses.find(method, path)
        if found is not None:
            assert found == by_starlette(method, path), path


def test_all_addresses_are_found_but_those_with_a_part_that_may_hold_slashes() -> None:
    addresses = Addresses(ROUTES)
    for row in ROWS:
        if ":path}" not in row.path:
            path = re.sub(r"{\w+:int}", "7", row.path)
            assert addresses.find(row.method, re.sub(r"{\w+}", "name", path)) is not None, row.path


def test_what_is_spelt_out_goes_before_numbers_and_these_before_text() -> None:
    async def serve(request: Request) -> Any: ...

    paths = ["/a/{n:int}/x", "/a/{name}/y", "/a/7/z"]
    addresses = Addresses([Route(path, serve) for path in paths])
    assert addresses.find("GET", "/a/7/z") == (serve, {})
    assert addresses.find("GET", "/a/7/x") == (serve, {"n": 7})
    assert addresses.find("GET", "/a/7/y") == (serve, {"name": "7"})
    assert addresses.find("GET", "/a/b/x") is None
