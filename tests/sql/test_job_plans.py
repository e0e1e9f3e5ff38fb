"""Plans: runners look at what is open, however long the history is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.archive import prepared
from tests.sql.statements_used import text

LANE = {"maintenance": False, "functions": ["f", "g"], "dead": 60.0}


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[psycopg.Connection[Any]]:
    """20 000 jobs of the past, some that wait, and one that runs in the serial group of a few of them."""
    with prepared(databases) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        for rows, columns, values in (
            (20_000, "status, started_date, last_updated, ended_date", "'complete', now(), now(), now()"),
            (1, "serial_group, status, started_date, last_updated", "'busy', 'running', now(), now()"),
            (20, "serial_group", "'busy'"),
            (20, "repeat_delay", "7"),
            (1, "serial_group", "'free'"),
        ):
            connection.execute(
                f"INSERT INTO job (name, function, kwargs, {columns})"
                f" SELECT 'n', 'f', '{{}}', {values} FROM generate_series(1, {rows})".encode()
            )
        connection.execute("VACUUM ANALYZE job")
        connection.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        yield connection


@pytest.mark.parametrize(
    ("name", "more"), [("jobs/pick", {"hostname": "h", "runner": "u"}), ("jobs/next_due", {})], ids=["pick", "next_due"]
)
def test_runners_read_only_what_is_open(conn: psycopg.Connection[Any], name: str, more: dict[str, str]) -> None:
    given = LANE | more
    with conn.transaction(force_rollback=True):
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text(name)}".encode()
        (found,) = conn.execute(explain, given, prepare=True).fetchone()  # type: ignore[misc]
        top = found[0]["Plan"]
    assert "job_open" in str(found)
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 120
    assert top["Actual Rows"] == 1
