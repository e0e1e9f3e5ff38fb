"""Plans: what a hot statement reads does not grow with what lies around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.archive import prepared
from tests.sql.statements_used import text

WAITING = 20_000
COMMON, RARE, ABSENT = 1, 2, 3


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[psycopg.Connection[Any]]:
    """20 000 waiting records, of which few need `rare`; some thousand finished ones."""
    fill = f"""
        INSERT INTO specification (hash, kind, body, program) VALUES ('a', 'singlepoint', '{{}}', 'p');
        INSERT INTO requirement (hash, programs, versions)
            VALUES ('c', '{{common}}', '{{}}'), ('r', '{{rare}}', '{{}}'), ('n', '{{none}}', '{{}}');
        INSERT INTO record (kind, spec_id, tag, priority, requirement_id, sort_time, status)
            SELECT 'singlepoint', 1, (ARRAY['a', 'b', 'c'])[1 + n % 3], n % 3,
                CASE WHEN n % 500 = 0 THEN {RARE} ELSE {COMMON} END, now() - n * interval '1 second',
                CASE WHEN n > {WAITING} THEN 'complete' ELSE 'waiting' END::record_status
            FROM generate_series(1, {WAITING + 5000}) n;
        UPDATE record SET status = 'running', worker_id = 7 WHERE id % 1000 = 7;
        UPDATE record SET status = 'error' WHERE id % 1000 = 8;
        INSERT INTO record_identity (record_id, identity) SELECT id, sha256(id::text::bytea) FROM record;
        VACUUM ANALYZE record, record_identity;
    """
    with prepared(databases) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in fill.split(";"):
            if statement.strip():
                connection.execute(statement.encode())
        yield connection


def plan(conn: psycopg.Connection[Any], name: str, **params: Any) -> tuple[int, str, int]:
    """Pages read, the plan as text, and the number of rows found."""
    (found,) = conn.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text(name)}".encode(), params).fetchone()  # type: ignore[misc]
    top = found[0]["Plan"]
    return top["Shared Hit Blocks"] + top["Shared Read Blocks"], str(found), top["Actual Rows"]


def candidates(
    conn: psycopg.Connection[Any], *needs: int, tags: list[str], limit: int = 20, strict: bool = False, **mark: Any
) -> tuple[int, str, int]:
    marked = {f"mark_{name}": mark.get(name) for name in ("tag", "requirement", "priority", "time")}
    return plan(conn, "tasks/candidates", requirements=list(needs), tags=tags, limit=limit, strict=strict, **marked)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("tags", [["*"], ["a"], ["b", "a"], ["none", "c", "*"]])
@pytest.mark.parametrize("requirements", [[COMMON], [RARE], [ABSENT], [RARE, COMMON, ABSENT]])
def test_a_claim_reads_little_however_much_waits(
    conn: psycopg.Connection[Any], requirements: list[int], tags: list[str], strict: bool
) -> None:
    pages, shown, found = candidates(conn, *requirements, tags=tags, strict=strict)
    assert "Seq Scan" not in shown.replace("Function Scan", "")
    assert "record_waiting" in shown
    # A range per tag and requirement, at most 20 rows each, each row on a page of its own at worst.
    assert pages <= len(requirements) * len(tags) * 30
    nothing = requirements == [ABSENT] or (strict and tags == ["*"])
    assert (found == 0) is nothing


def test_a_worker_that_lacks_what_waits_reads_next_to_nothing(conn: psycopg.Connection[Any]) -> None:
    pages, _, found = candidates(conn, ABSENT, tags=["a", "b", "*"], limit=200)
    assert (found, pages <= 30) == (0, True)


def test_what_a_manager_holds_is_found_by_index(conn: psycopg.Connection[Any]) -> None:
    pages, shown, found = plan(conn, "tasks/held", worker_ids=[7])
    assert "record_running" in shown
    assert found > 10
    assert pages < 60


def test_known_computations_are_found_by_index(conn: psycopg.Connection[Any]) -> None:
    identities = [r[0] for r in conn.execute("SELECT identity FROM record_identity LIMIT 20").fetchall()]
    pages, shown, found = plan(conn, "records/find", identities=identities)
    assert "record_identity_of" in shown
    assert found == 20
    assert pages < 150


@pytest.mark.parametrize(
    ("filters", "index"),
    [("status = 'error'", "record_error"), ("id = ANY('{5,6}')", "record_pkey")],
)
def test_rare_statuses_are_found_by_their_index(conn: psycopg.Connection[Any], filters: str, index: str) -> None:
    query = f"EXPLAIN SELECT id FROM record WHERE {filters} ORDER BY id DESC LIMIT 250"
    assert index in str(conn.execute(query.encode()).fetchall())


def test_behind_a_mark_what_is_dead_before_it_is_not_read(conn: psycopg.Connection[Any]) -> None:
    """While a snapshot is held, claimed records leave entries that nobody may remove."""
    with psycopg.connect(conn.info.dsn) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        dump.execute("SELECT count(*) FROM setting")
        conn.execute(
            "UPDATE record SET status = 'running', worker_id = 9 WHERE id IN (SELECT id FROM record"
            " WHERE status = 'waiting' AND tag = 'a' AND priority = 0 ORDER BY sort_time LIMIT 3000)"
        )
        (time,) = conn.execute(  # type: ignore[misc]
            "SELECT min(sort_time) FROM record WHERE status = 'waiting' AND tag = 'a' AND priority = 0"
        ).fetchone()
        mark = {"tag": "a", "requirement": COMMON, "priority": 0, "time": time}
        without, _, found = candidates(conn, COMMON, tags=["a"])
        behind, _, same = candidates(conn, COMMON, tags=["a"], **mark)
    conn.execute("UPDATE record SET status = 'waiting', worker_id = NULL WHERE worker_id = 9")
    conn.execute("VACUUM ANALYZE record")
    assert found == same == 20
    assert behind < 60 < without
