"""Every operation of the OpenAPI document, with requests made from its own schemas, from everybody and from nobody: no
failure, no hang-up, and each answer fits its schema.

`QCHIVE_ATTACKS` says how many requests each operation gets, if it is to be more than a few.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from tests.accounts import PEOPLE, SECURE, api_token, as_token, as_user, secure
from tests.factories import Http, Manager, add, make_result
from tests.generated import Asked, Schemas, as_json, as_msgpack

from qchive.api import endpoints
from qchive.server.openapi import document
from qchive.wire import JSON, MSGPACK

EACH = int(os.environ.get("QCHIVE_ATTACKS", "8"))
DOCUMENT = document(endpoints(), "QCHive")
SCHEMAS = Schemas(DOCUMENT)
OPERATIONS = [(method, path) for path, row in DOCUMENT["paths"].items() for method in row]
COSTLY = ("password", "/users", "/login", "session_login")
"""Addresses that hash passwords, slowly on purpose."""


OPEN = msgspec.structs.replace(SECURE, allow_unauthenticated_read=True, login_rate_limit_enabled=False)
WHO = ["admin"] * 8 + [
    "maintain",
    "monitor",
    "submit",
    "read",
    "compute",
    "nobody",
    "token to read",
    "token to compute",
]
"""Who asks; mostly who may do everything, for more is read of what they send."""


class World(NamedTuple):
    """A server with something on it, and those who ask it."""

    people: dict[str, Http]

    @property
    def whole(self) -> bool:
        """Whether all are still who they were: some requests remove accounts, and change roles and passwords."""
        return all(
            api.raw.get("/api/v1/me").json().get("role") == ("admin" if "token" in who else who)
            for who, api in self.people.items()
            if who not in ("nobody", "token to compute")
        )


@contextmanager
def peopled(databases: Any) -> Iterator[World]:
    """Everybody who can be told apart: each role, nobody, and API tokens of an administrator for less than all."""
    with secure(databases, OPEN) as archive, ExitStack() as stack:
        people = {role: stack.enter_context(as_user(archive.address, name)) for name, role in PEOPLE.items()}
        people["nobody"] = stack.enter_context(as_token(archive.address, None))
        for scope in ("read", "compute"):
            token, _ = api_token(people["admin"], scope, scope=scope)
            people[f"token to {scope}"] = stack.enter_context(as_token(archive.address, token))
        add(people["admin"], 3)
        manager = Manager(people["admin"])
        task, *_ = manager.claim()
        manager.give_one(task["id"], make_result(task))
        yield World(people)


@pytest.fixture(scope="module")
def worlds(databases: Any) -> Iterator[Callable[[], World]]:
    """The world, or the next one, if the last has been spoilt."""
    with ExitStack() as stack:
        found = [stack.enter_context(peopled(databases))]

        def world() -> World:
            if not found[-1].whole:
                found.append(stack.enter_context(peopled(databases)))
            return found[-1]

        yield world


def sent(api: Http, asked: Asked, encoding: str) -> httpx.Response:
    """The answer to a request."""
    path = asked.path
    for name, value in asked.parts.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    content = None
    if asked.body is not ...:
        content = as_json(asked.body) if encoding == JSON else as_msgpack(asked.body)
    headers = {"Content-Type": encoding, "Accept": JSON}
    return api.raw.request(asked.method, path, content=content, headers=headers, params=asked.query)


def misfits(asked: Asked, answer: httpx.Response) -> list[str]:
    """What in an answer does not fit its schema."""
    operation = DOCUMENT["paths"][asked.path][asked.method.lower()]
    which = "200" if answer.status_code == 200 else "default"
    content = operation["responses"][which]["content"]
    if answer.headers["content-type"] not in content:
        return [f"a content type of {answer.headers['content-type']}"]
    schema = {**content[JSON]["schema"], "components": DOCUMENT["components"]}
    return [f"{one.json_path}: {one.message}"[:500] for one in Draft202012Validator(schema).iter_errors(answer.json())]


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{m.upper()} {p}" for m, p in OPERATIONS])
def test_no_request_brings_the_server_to_fail_whoever_sends_it(
    worlds: Callable[[], World], method: str, path: str
) -> None:
    world = worlds()

    @seed(1)
    @settings(
        max_examples=EACH if not any(word in path for word in COSTLY) else EACH // 2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(SCHEMAS.requests(method, path), st.sampled_from(WHO), st.sampled_from([JSON, MSGPACK]))
    def attack(asked: Asked, who: str, encoding: str) -> None:
        answer = sent(world.people["admin" if asked.path.startswith("/auth") else who], asked, encoding)
        assert answer.status_code < 500, f"{who}, {encoding}: {asked}: {answer.text}"
        assert not misfits(asked, answer), f"{who}: {asked}: {answer.text[:500]}"

    attack()
    assert world.people["nobody"].raw.get("/api/v1/ping").status_code == 200
