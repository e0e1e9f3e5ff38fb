"""What is packed by us, PostgreSQL reads as what it was."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qchive.db.connection import Connection, Statement

MOMENT = datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC)
VALUES: dict[str, list[Any]] = {
    "boolean": [True, False],
    "bytea": [b"", b"\0\xff"],
    "bigint": [0, -(2**63), 2**63 - 1],
    "smallint": [0, -(2**15), 2**15 - 1],
    "integer": [0, -(2**31), 2**31 - 1],
    "text": ["", "Å∞ {a,b} \\N NULL"],
    "double precision": [0.0, -1.5e-300, float("inf")],
    "timestamptz": [MOMENT, datetime(1969, 7, 20, tzinfo=UTC), MOMENT - timedelta(days=40_000, microseconds=1)],
}


async def echo(conninfo: str, kind: str, value: Any) -> Any:
    async with await Connection.connect(conninfo, autocommit=True) as conn:
        answer = conn.queue(Statement.of("echo", f"SELECT %(v)b::{kind}"), {"v": value})  # type: ignore[arg-type]
        await conn.flush()
        return answer.column()[0]


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_arrives_as_it_is(database: str, kind: str) -> None:
    for value in [*VALUES[kind], None]:
        assert asyncio.run(echo(database, kind, value)) == value


@pytest.mark.parametrize("kind", VALUES)
def test_a_list_arrives_as_it_is(database: str, kind: str) -> None:
    for values in (VALUES[kind], [], [None], [None, *VALUES[kind], None], VALUES[kind] * 50):
        assert asyncio.run(echo(database, f"{kind}[]", values)) == values
