"""Plans: what is read about families and about what was done to records does not grow with all that lies around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.archive import prepared
from tests.sql.statements_used import text

RECORDS = 30_000
BIG, SMALL = 1, 77
"""An operation that moved the first half of the records, and one of a thousand that moved ten each."""


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[psycopg.Connection[Any]]:
    """30 000 records, every tenth with nine children; 15 000 moves of one operation, 10 000 of a thousand others, in
    several months; settings as the server's connections have them."""
    fill = f"""
        INSERT INTO specification (hash, kind, body, program) VALUES ('a', 'singlepoint', '{{}}', 'p');
        INSERT INTO record (kind, spec_id, status, stack, operation_id)
            SELECT 'singlepoint', 1,
                (CASE WHEN n <= {RECORDS // 2} THEN 'cancelled' ELSE 'waiting' END)::record_status,
                CASE WHEN n <= {RECORDS // 2} THEN '{{waiting}}' ELSE '{{}}' END::record_status[],
                CASE WHEN n <= {RECORDS // 2} THEN {BIG} ELSE 2 + n % 1000 END
            FROM generate_series(1, {RECORDS}) n;
        INSERT INTO record_child (parent_id, role, position, child_id)
            SELECT n - n % 10 + 1, 'r', n % 10, n FROM generate_series(1, {RECORDS}) n WHERE n % 10 > 1;
        INSERT INTO operation (action, effect)
            SELECT CASE n WHEN 1 THEN 'cancel' ELSE 'uncancel' END, 'push' FROM generate_series(1, 1001) n;
        INSERT INTO move (operation_id, record_id, source, target, time)
            SELECT {BIG}, n, 'waiting', 'cancelled', now() FROM generate_series(1, {RECORDS // 2}) n;
        INSERT INTO move (operation_id, record_id, source, target, time)
            SELECT 2 + n / 10, {RECORDS} - n, 'cancelled', 'waiting', now() - n % 3 * interval '30 days'
            FROM generate_series(0, 9999) n;
        VACUUM ANALYZE record, record_child, operation, move;
        SET jit = off; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
    """
    with prepared(databases) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in fill.split(";"):
            if statement.strip():
                connection.execute(statement.encode())
        yield connection


def plan(conn: psycopg.Connection[Any], name: str, **params: Any) -> tuple[int, str, int]:
    """Pages read, the plan as text, and the number of rows found; what it changed is taken back."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text(name)}"
    with conn.transaction(force_rollback=True):
        (found,) = conn.execute(explain.encode(), params, prepare=True).fetchone()  # type: ignore[misc]
    top = found[0]["Plan"]
    assert "Seq Scan" not in str(found), name
    return top["Shared Hit Blocks"] + top["Shared Read Blocks"], str(found), top["Actual Rows"]


def test_a_family_is_read_by_index(conn: psycopg.Connection[Any]) -> None:
    pages, shown, found = plan(conn, "records/links", up=[15, 16, 25_005], down=[11, 25_001])
    assert {"record_child_child", "record_child_pkey"} <= {
        i for i in ("record_child_child", "record_child_pkey") if i in shown
    }
    assert found == 3 + 16
    assert pages < 60


def test_records_are_locked_by_their_ids_in_their_order(conn: psycopg.Connection[Any]) -> None:
    pages, shown, found = plan(conn, "records/lock_status", ids=[9, 20_000, 5])
    assert "record_pkey" in shown
    assert (found, pages < 40) == (3, True)


@pytest.mark.parametrize(("after", "most"), [(0, 100), (14_000, 100)])
@pytest.mark.parametrize("name", ["operations/moves", "operations/undoing"])
def test_a_page_of_an_operation_is_read_by_index_however_far_it_is(
    conn: psycopg.Connection[Any], name: str, after: int, most: int
) -> None:
    pages, shown, found = plan(conn, name, id=BIG, after=after, limit=50)
    assert "operation_id_record_id" in shown or "move_operation" in shown
    assert (found, pages < most) == (50, True)


def test_what_an_undoing_left_is_read_page_by_page(conn: psycopg.Connection[Any]) -> None:
    pages, _, found = plan(conn, "operations/left", id=SMALL, undone=BIG, after=7000, limit=20)
    assert (found, pages < 600) == (20, True)


def test_the_history_of_a_record_is_read_by_index(conn: psycopg.Connection[Any]) -> None:
    for record_id in (RECORDS - 5, 17):
        pages, _, found = plan(conn, "operations/history", id=record_id)
        assert (found, pages < 40) == (1, True)


@pytest.mark.parametrize("n", [1, 20])
def test_taking_back_reads_only_the_moves_of_its_records(conn: psycopg.Connection[Any], n: int) -> None:
    ids = list(range(5000, 5000 + n))
    pages, _, _ = plan(conn, "records/move", **undoing(ids))
    assert pages < 60 + 30 * n, "however many others the operation moved"


def test_moving_reads_only_its_records(conn: psycopg.Connection[Any]) -> None:
    ids = list(range(20_000, 20_010))
    given = undoing(ids) | {"effect": "push", "action": "cancel", "target": "cancelled", "undone": None}
    pages, _, _ = plan(conn, "records/move", **given)
    assert pages < 400


def undoing(ids: list[int]) -> dict[str, Any]:
    """What taking the big operation back for these records asks for."""
    given: dict[str, Any] = {"ids": ids, "asked": [True] * len(ids), "fit": [True] * len(ids), "n": len(ids)}
    given |= dict.fromkeys(("target", "also_target", "tag", "priority", "username", "reason", "operation_id"))
    given |= {"action": "undo", "effect": "pop", "sources": ["waiting", "cancelled"], "also": [], "unfinished": False}
    return given | {"changes": "{}", "undone": BIG, "channel": "rule"}
