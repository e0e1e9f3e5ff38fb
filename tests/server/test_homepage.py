"""What stands at the bare address: a page of ours, another place, or a folder of the administrator's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.accounts import SECURE, secure
from tests.archive import prepared, running

from qchive.errors import BadConfiguration
from qchive.server.settings import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("around") / "pages"
    (folder / "about").mkdir(parents=True)
    (folder / "index.html").write_text("welcome")
    (folder / "style.css").write_text("body {}")
    (folder / "about" / "index.html").write_text("about us")
    (folder.parent / "private.txt").write_text("not for the public")
    (folder / "private.txt").symlink_to(folder.parent / "private.txt")
    (folder / "api" / "v1").mkdir(parents=True)
    (folder / "api" / "v1" / "nowhere").write_text("not the API")
    return folder


@pytest.fixture(scope="module")
def site(databases: Any, folder: Path) -> Iterator[httpx.Client]:
    """A server that shows the folder, to people who have not logged in."""
    with (
        secure(databases, msgspec.structs.replace(SECURE, homepage_directory=str(folder))) as server,
        httpx.Client(base_url=server.address) as client,
    ):
        yield client


def test_the_bare_address_leads_to_another_place(databases: Any) -> None:
    settings = Settings(homepage_redirect_url="https://example.com/group")
    with prepared(databases) as conninfo, running(conninfo, settings) as server:
        answer = httpx.get(server.address)
        assert (answer.status_code, answer.headers["location"]) == (302, "https://example.com/group")
        assert httpx.get(f"{server.address}/elsewhere").status_code == 404
        assert httpx.get(f"{server.address}/api/docs").status_code == 200


@pytest.mark.parametrize(
    ("path", "text"), [("/", "welcome"), ("/style.css", "body {}"), ("/about", "about us"), ("/about/", "about us")]
)
def test_a_folder_is_shown_to_everybody(site: httpx.Client, path: str, text: str) -> None:
    answer = site.get(path, follow_redirects=True)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert site.head(path, follow_redirects=True).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/missing.html",
        "/../private.txt",
        "/%2e%2e/private.txt",
        "/about/..%2f..%2fprivate.txt",
        "/%2fetc/passwd",
        "//etc/passwd",
        "/private.txt",
        "/style.css%00",
        "/style.css/x",
        "/%ff",
        "/" + "a" * 300,
        "/api/v1/nowhere",
    ],
)
def test_what_is_not_in_the_folder_is_not_found(site: httpx.Client, path: str) -> None:
    answer = site.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")


def test_no_address_at_all_is_not_found(site: httpx.Client) -> None:
    assert site.get("/", extensions={"target": b"*"}).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_folder_can_only_be_read(site: httpx.Client, method: str) -> None:
    assert site.request(method, "/api/v1/nowhere").status_code == 404
    assert site.request(method, "/style.css").status_code == 404
    assert site.request(method, "/").status_code == 405


def test_pages_may_say_in_their_own_way_that_something_is_missing(databases: Any, tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text("not here")
    with prepared(databases) as conninfo, running(conninfo, Settings(homepage_directory=str(tmp_path))) as server:
        for path in ("", "/missing.html"):
            answer = httpx.get(server.address + path)
            assert (answer.status_code, answer.text) == (404, "not here")
        answer = httpx.get(f"{server.address}/api/v1/nowhere")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_path")


def test_no_file_stands_in_the_way_of_the_api(site: httpx.Client) -> None:
    assert site.get("/api/v1/ping").json()["success"]
    assert site.patch("/api/v1/ping").status_code == 405
    assert site.get("/api/v1/information").status_code == 401
    assert site.get("/api/docs").text.startswith("<!doctype html>")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="homepage_directory"):
        Settings(homepage_directory=str(tmp_path / "nowhere")).check()
    Settings(homepage_directory=str(tmp_path)).check()
