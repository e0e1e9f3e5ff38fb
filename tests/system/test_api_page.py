"""The page that describes the API, seen by a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from qchive.api import endpoints
from tests.accounts import PASSWORD, SECURE, secure
from tests.factories import sql, until

pytestmark = pytest.mark.system

# Chromium as root needs no sandbox; the rest keeps it from talking to anybody but the server under test.
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


class Watched:
    """A browser's page, with what it complained about and whom it asked."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: self.asked.append(request.url))


@pytest.fixture
def watched() -> Iterator[Watched]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            yield Watched(browser.new_page(viewport={"width": 1200, "height": 1000}))
        finally:
            browser.close()


def test_the_page_shows_every_endpoint_and_asks_only_this_server(archive: Any, watched: Watched) -> None:
    page = watched.page
    page.goto(archive.address)
    page.wait_for_selector(".opblock-tag-section")
    page.wait_for_load_state("networkidle")
    shown = 0
    sections = page.locator(".opblock-tag-section")
    for n in range(sections.count()):
        section = sections.nth(n)
        section.locator(".opblock-tag").click()
        section.locator(".opblock").first.wait_for()
        shown += section.locator(".opblock").count()
        section.locator(".opblock-tag").click()
    assert shown == len(endpoints())
    assert watched.complaints == []
    assert all(url.startswith((archive.address, "data:")) for url in watched.asked)


def test_ping_can_be_tried_on_the_page(archive: Any, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{archive.address}/api/docs#/about")
    operation = page.locator(".opblock", has_text="/api/v1/ping").first
    operation.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    answer.wait_for()
    assert '"success": true' in answer.inner_text()
    assert watched.complaints == []


def test_where_nobody_logs_in_the_page_does_not_ask_to(archive: Any, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{archive.address}/api/docs")
    page.wait_for_selector(".opblock-tag-section")
    assert not page.locator("#account").is_visible()
    assert page.get_by_role("button", name="Authorize").count() == 0


@pytest.fixture
def server(databases: Any) -> Iterator[Any]:
    """A server where one logs in. Its cookie is for https, and for this very machine."""
    with secure(databases, msgspec.structs.replace(SECURE, log_access=True)) as server:
        yield server


def enter(watched: Watched, password: str) -> None:
    page = watched.page
    page.get_by_label("Name").fill("submit_user")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_a_person_logs_in_tries_something_that_changes_something_and_logs_out(server: Any, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{server.address}/api/docs#/molecules")
    enter(watched, PASSWORD)
    page.get_by_text("Logged in as submit_user (submit)").wait_for()
    page.reload()
    page.get_by_text("Logged in as submit_user (submit)").wait_for()
    operation = page.locator(".opblock", has_text="/api/v1/molecules/bulkCreate").first
    operation.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table tbody .response-col_status").first
    answer.wait_for()
    assert answer.inner_text().startswith("200")
    assert sql(server.conninfo, "SELECT count(*) FROM molecule") == [(1,)]
    assert watched.complaints == []
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log in").wait_for()
    assert sql(server.conninfo, "SELECT count(*) FROM browser_session") == [(0,)]
    noted = "SELECT username FROM access_log WHERE full_uri LIKE '/api/v1/molecules/bulkCreate'"
    until(lambda: sql(server.conninfo, noted) == [("submit_user",)])
    operation.get_by_role("button", name="Execute").click()
    page.get_by_text("Server requires login").first.wait_for()


def test_a_wrong_password_is_told_on_the_page(server: Any, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{server.address}/api/docs")
    enter(watched, "a wrong password")
    page.get_by_text("Incorrect username or password").wait_for()
    assert page.get_by_role("button", name="Log in").is_visible()


def test_a_request_with_a_body_shows_its_fields(archive: Any, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{archive.address}/api/docs#/singlepoint")
    operation = page.locator(".opblock", has_text="/api/v1/records/singlepoint/bulkCreate").first
    operation.click()
    operation.locator(".model-example, .json-schema-2020-12").first.wait_for()
    assert "specification" in operation.inner_text()
    assert watched.complaints == []
