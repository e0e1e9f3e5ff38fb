"""The page that describes the API: what the server sends, and that other people's files in it are unchanged."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import httpx
import msgspec
import pytest
from tests.accounts import SECURE
from tests.archive import running
from tests.factories import sql

from qchive.api import endpoints
from qchive.db.migrate import migrate
from qchive.kinds import KINDS
from qchive.server.first import first_administrator

WEB = files("qchive.server") / "web"
PACKAGES = tomllib.loads((WEB / "VENDORED.toml").read_text())["package"]
VENDORED = {name: digest for package in PACKAGES for name, digest in package["sha256"].items()}
OURS = {"VENDORED.toml", "api.css", "api.html", "api.js"}


@pytest.mark.parametrize("name", sorted(VENDORED))
def test_a_file_of_another_project_is_as_it_was_published(name: str) -> None:
    assert hashlib.sha256((WEB / name).read_bytes()).hexdigest() == VENDORED[name]


def test_no_file_of_another_project_comes_without_version_licence_and_hash() -> None:
    present = {entry.name for entry in WEB.iterdir()}
    assert present == OURS | set(VENDORED)
    for package in PACKAGES:
        assert package["version"].count(".") == 2
        assert package["license"]
        assert any("LICENSE" in name for name in package["sha256"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "text/html"),
        ("/api.js", "text/javascript"),
        ("/api.css", "text/css"),
        ("/swagger-ui-bundle.js", "text/javascript"),
        ("/swagger-ui.css", "text/css"),
    ],
)
def test_the_files_of_the_page_are_sent_with_a_strict_policy(archive: Any, name: str, kind: str) -> None:
    answer = httpx.get(f"{archive.address}/api/docs{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_bare_address_leads_to_the_page(archive: Any) -> None:
    answer = httpx.get(archive.address, follow_redirects=True)
    assert str(answer.url) == f"{archive.address}/api/docs"


@pytest.fixture
def ann(database: str) -> Iterator[httpx.Client]:
    """The browser of somebody who may do everything, on a server where one logs in."""
    migrate(database)
    password = first_administrator(database)
    sql(database, "UPDATE account SET username = 'ann'")
    with (
        running(database, msgspec.structs.replace(SECURE, user_session_cookie_secure=False)) as server,
        httpx.Client(base_url=server.address, headers={"X-Requested-With": "fetch"}) as client,
    ):
        login = client.post("/auth/v1/session_login", json={"username": "ann", "password": password})
        assert login.status_code == 200
        yield client


def test_the_examples_that_the_page_offers_are_accepted(ann: httpx.Client) -> None:
    rows = [row for row in endpoints() if row.example is not None]
    assert {row.kind.name for row in rows if row.kind and row.name == "records.add"} == {
        kind.name for kind in KINDS.values() if not kind.internal
    }
    order = {"add": 0, "set_password": 1}
    for row in sorted(rows, key=lambda row: (order.get(row.name.split(".")[1], 2), "delete" in row.name)):
        path = re.sub(r"\{\w+:int\}", "1", row.path).replace("{user}", "ann")
        answer = ann.request(row.method, path, json=row.example)
        assert answer.status_code == 200, f"{row.method} {row.path}: {answer.text}"
