"""The audit lies in parts, one for each month, which upkeep makes in advance."""

from __future__ import annotations

from typing import Any

import pytest
from tests.archive import prepared
from tests.factories import sql
from tests.runners import do

from qchive.server.settings import Settings
from qchive.server.upkeep.months import make_months

PARTS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'move'::regclass ORDER BY 1"
MOVE = "INSERT INTO move (operation_id, record_id, time, source) VALUES (1, 1, %s, 'waiting')"
WHERE = "SELECT tableoid::regclass::text FROM move"


@pytest.fixture
def conninfo(databases: Any) -> Any:
    with prepared(databases) as made:
        yield made


def months(conninfo: str) -> list[str]:
    query = "SELECT to_char(now() + n * interval '1 month', '\"move_\"YYYY_MM') FROM generate_series(0, 2) AS t (n)"
    return [name for (name,) in sql(conninfo, query)]


def parts(conninfo: str) -> list[str]:
    return [name for (name,) in sql(conninfo, PARTS)]


def test_there_is_a_part_for_this_month_and_the_next_two(conninfo: str) -> None:
    assert parts(conninfo) == [*months(conninfo), "move_other"]
    sql(conninfo, MOVE, sql(conninfo, "SELECT now()")[0][0])
    assert sql(conninfo, WHERE) == [(months(conninfo)[0],)]


def test_upkeep_makes_the_parts_that_are_missing(conninfo: str) -> None:
    sql(conninfo, f"DROP TABLE {months(conninfo)[2]}")
    assert do(conninfo, lambda db: make_months(db, Settings())) == 3
    assert parts(conninfo) == [*months(conninfo), "move_other"]


def test_what_happened_in_a_month_without_a_part_is_kept_and_does_not_stand_in_the_way(conninfo: str) -> None:
    last = months(conninfo)[2]
    sql(conninfo, f"DROP TABLE {last}")
    sql(conninfo, MOVE, sql(conninfo, "SELECT now() + interval '2 months'")[0][0])
    assert sql(conninfo, WHERE) == [("move_other",)]
    do(conninfo, lambda db: make_months(db, Settings()))
    assert (sql(conninfo, WHERE), last in parts(conninfo)) == ([("move_other",)], False)
