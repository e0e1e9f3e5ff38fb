"""The fixtures that every test on PostgreSQL builds on."""

from __future__ import annotations

from typing import Any

import psycopg


def tables(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert row is not None
    return int(row[0])


def make_table(conninfo: str) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE TABLE thing (id int)")


def test_a_fresh_database_is_empty(database: str) -> None:
    make_table(database)
    assert tables(database) == 1


def test_a_fresh_database_does_not_see_what_another_test_made(database: str) -> None:
    assert tables(database) == 0


def test_a_template_is_prepared_once_and_copied(databases: Any) -> None:
    prepared = []

    def prepare(conninfo: str) -> None:
        prepared.append(conninfo)
        make_table(conninfo)

    for _ in range(2):
        with databases.fresh(databases.template("with_table", prepare)) as conninfo:
            assert tables(conninfo) == 1
    assert len(prepared) == 1
