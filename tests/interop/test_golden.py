"""Our server's answers beside the peer's, field by field, to the same requests.

`golden/*.json` are the requests and what the peer answered, written by `tools/record_golden.py`;
`golden/deviations.toml` says what is meant to differ, and why.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tools.golden import TOPICS as declared

from tests.archive import prepared, running
from tests.interop.golden.replay import JSON, MSGPACK, Session, usual

GOLDEN = Path(__file__).parent / "golden"
TOPICS = sorted(path.stem for path in GOLDEN.glob("*.json"))
ABSENT = "absent"


class Difference(NamedTuple):
    """One part of one answer; `peer` and `ours` as JSON."""

    exchange: str
    path: str
    peer: str
    ours: str


@pytest.mark.parametrize("encoding", [JSON, MSGPACK])
@pytest.mark.parametrize("topic", TOPICS)
def test_our_answers_are_the_peers_but_for_meant_differences(databases: Any, topic: str, encoding: str) -> None:
    found = list(differences(databases, topic, encoding))
    listed = [
        one
        for one in deviations()
        if any(name.startswith(f"{topic}: ") for name in one["exchanges"]) and one.get("encoding", encoding) == encoding
    ]
    unlisted = [one for one in found if not any(fits(one, meant, topic) for meant in listed)]
    stale = [
        f"{name} {meant['path']}"
        for meant in listed
        for name in meant["exchanges"]
        if name.startswith(f"{topic}: ") and not any(fits(one, meant | {"exchanges": [name]}, topic) for one in found)
    ]
    assert not unlisted, "\n".join(map(str, unlisted))
    assert not stale, f"listed, but not met: {stale}"


def test_the_files_hold_what_is_asked_for_now() -> None:
    assert set(TOPICS) == set(declared)
    for topic in TOPICS:
        answered = {"status", "type", "answer", "msgpack"}
        asked = [{k: v for k, v in one.items() if k not in answered} for one in exchanges(topic)]
        assert asked == json.loads(json.dumps(declared[topic])), f"run: python -m tools.record_golden {topic}"
        assert len({one["name"] for one in asked}) == len(asked), f"{topic}: names that stand for two exchanges"


def test_every_meant_difference_is_listed_once_and_says_why() -> None:
    listed = [(name, one["path"], one["peer"], one["ours"]) for one in deviations() for name in one["exchanges"]]
    assert sorted(set(listed)) == sorted(listed)
    for one in deviations():
        assert one.keys() - {"encoding"} == {"exchanges", "path", "peer", "ours", "because"}
        assert one["because"]
        assert all(name.partition(": ")[0] in TOPICS for name in one["exchanges"])


def deviations() -> list[dict[str, Any]]:
    """What is meant to differ."""
    listed: list[dict[str, Any]] = tomllib.loads((GOLDEN / "deviations.toml").read_text(encoding="utf-8"))["deviation"]
    return listed


def exchanges(topic: str) -> list[dict[str, Any]]:
    """What was asked and answered."""
    found: list[dict[str, Any]] = json.loads((GOLDEN / f"{topic}.json").read_text(encoding="utf-8"))
    return found


def fits(one: Difference, meant: dict[str, Any], topic: str) -> bool:
    """Whether a difference is this meant one."""
    return (
        any(fnmatchcase(f"{topic}: {one.exchange}", name) for name in meant["exchanges"])
        and fnmatchcase(one.path, meant["path"])
        and meant["peer"] in ("*", one.peer)
        and meant["ours"] in ("*", one.ours)
    )


def differences(databases: Any, topic: str, encoding: str) -> Iterator[Difference]:
    """What our server answers otherwise."""
    with (
        prepared(databases) as conninfo,
        running(conninfo) as server,
        httpx.Client(base_url=server.address, timeout=60) as client,
    ):
        session = Session(client, encoding)
        for exchange in exchanges(topic):
            theirs = usual(exchange.get("status", 200)) | {
                part: exchange[part] for part in ("status", "type", "answer") if part in exchange
            }
            if encoding == MSGPACK:
                theirs |= exchange.get("msgpack", {})
            ours = session.send(exchange)
            if theirs["status"] == ours["status"]:
                for path, here, there in compared(theirs, ours):
                    yield Difference(exchange["name"], path, here, there)
            else:
                yield Difference(exchange["name"], "status", str(theirs["status"]), outcome(ours))


def compared(theirs: Any, ours: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two values differ, also in type, and how: path, theirs, ours."""
    at = f"{path}." if path else ""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            if key in theirs and key in ours:
                yield from compared(theirs[key], ours[key], f"{at}{key}")
            else:
                yield f"{at}{key}", told(theirs.get(key, ...)), told(ours.get(key, ...))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for i, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from compared(one, other, f"{at}{i}")
    elif type(theirs) is not type(ours) or theirs != ours:
        yield path, told(theirs), told(ours)


def outcome(answer: dict[str, Any]) -> str:
    """The status, and what was answered unless it is a refusal."""
    status: int = answer["status"]
    return f"{status} {told(answer['answer'])}" if status == 200 else str(status)


def told(value: Any) -> str:
    """A value as text."""
    return ABSENT if value is ... else json.dumps(value, ensure_ascii=False)
