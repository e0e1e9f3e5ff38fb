"""Plans: what rules read does not grow with all that was followed, nor with what lies around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.archive import prepared
from tests.sql.statements_used import text

RECORDS = 30_000


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[psycopg.Connection[Any]]:
    """30 000 complete records, 10 000 of which one rule has followed by another third of them, 5 000 that another is to
    follow, each record with two molecules and a child; settings as the server's connections have them."""
    third = RECORDS // 3
    fill = f"""
        INSERT INTO specification (hash, kind, body, program) VALUES ('a', 'singlepoint', '{{}}', 'p');
        INSERT INTO molecule (hash, formula, identifiers, document)
            VALUES ('m', 'He', '{{}}', ''), ('n', 'He', '{{}}', '');
        INSERT INTO record (kind, spec_id, status, attempt_no)
            SELECT 'singlepoint', 1, 'complete', 1 FROM generate_series(1, {RECORDS}) n;
        INSERT INTO record_molecule (record_id, role, molecule_id)
            SELECT n, role, 1 FROM generate_series(1, {RECORDS}) n, unnest('{{initial,final}}'::text[]) AS t (role);
        INSERT INTO record_child (parent_id, role, child_id)
            SELECT n, 'r', n + 1 FROM generate_series(1, {RECORDS - 1}, 2) n;
        INSERT INTO rule (name, filter, kind, spec_id, tag, priority, find_existing, enabled)
            SELECT n, '{{}}', 'singlepoint', 1, '*', 1, true, n < 5 FROM generate_series(1, 1000) n;
        INSERT INTO follow_on (rule_id, source_id, made_id, state, through)
            SELECT 1, n, n + {third}, 'made', '{{1}}' FROM generate_series(1, {third}) n;
        INSERT INTO follow_on (rule_id, source_id, state, through)
            SELECT 2, n, 'waiting', '{{2}}' FROM generate_series(1, 5000) n;
        INSERT INTO completion (record_id) SELECT n FROM generate_series(1, {RECORDS}) n;
        VACUUM ANALYZE record, record_molecule, record_child, rule, follow_on, completion;
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


def test_whether_a_rule_is_enabled_is_seen_in_its_index(conn: psycopg.Connection[Any]) -> None:
    for name, params in (("enabled", {}), ("due", {"but": [1]}), ("look_back", {}), ("looking_back", {})):
        pages, shown, _ = plan(conn, f"rules/{name}", **params)
        assert "rule_enabled" in shown
        assert pages < 40, name


def test_notes_are_taken_by_index(conn: psycopg.Connection[Any]) -> None:
    pages, shown, found = plan(conn, "rules/noted", limit=100)
    assert "completion_pkey" in shown
    assert found == 100
    assert pages < 700


def test_following_reads_what_the_records_came_from_and_nothing_else(conn: psycopg.Connection[Any]) -> None:
    pages, shown, _ = plan(conn, "rules/follow", rule_id=3, ids=[10_001, 15_000, 29_000])
    assert all(index in shown for index in ("record_child_child", "follow_on_made"))
    assert pages < 150


def test_what_is_to_be_submitted_is_found_by_index(conn: psycopg.Connection[Any]) -> None:
    pages, shown, found = plan(conn, "rules/open", rule_id=2, limit=50)
    assert "follow_on_waiting" in shown
    assert (found, pages < 450) == (50, True)
    pages, shown, found = plan(conn, "rules/molecules", ids=[5, 6, 7], final="final")
    assert "record_molecule_pkey" in shown
    assert (found, pages < 40) == (3, True)


def test_both_sides_of_a_record_are_read_by_index(conn: psycopg.Connection[Any]) -> None:
    pages, shown, found = plan(conn, "rules/of_record", id=10_001, limit=1000)
    assert all(index in shown for index in ("follow_on_source", "follow_on_made"))
    assert (found, pages < 40) == (1, True)
    pages, _, found = plan(conn, "rules/follow_ons", rule_id=1, after=9000, limit=50)
    assert (found, pages < 40) == (50, True)
