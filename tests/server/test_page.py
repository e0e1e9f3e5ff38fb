"""The page that describes the API: what the server sends, and that other people's files in it are unchanged."""

from __future__ import annotations

import hashlib
import re
import tomllib
from importlib.resources import files
from typing import Any

import httpx
import pytest

from qchive.api import endpoints
from qchive.kinds import KINDS

WEB = files("qchive.server") / "web"
PACKAGES = tomllib.loads((WEB / "VENDORED.toml").read_text())["package"]
VENDORED = {name: digest for package in PACKAGES for name, digest in package["sha256"].items()}
OURS = {"VENDORED.toml", "api.html", "api.js"}


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


def test_the_examples_that_the_page_offers_are_accepted(archive: Any) -> None:
    rows = [row for row in endpoints() if row.example is not None]
    assert {row.kind.name for row in rows if row.kind and row.name == "records.add"} == set(KINDS)
    with httpx.Client(base_url=archive.address) as client:
        for row in sorted(rows, key=lambda row: (not row.name.endswith("add"), "delete" in row.name)):
            path = re.sub(r"\{\w+:int\}", "1", row.path)
            answer = client.request(row.method, path, json=row.example)
            assert answer.status_code == 200, f"{row.method} {row.path}: {answer.text}"
