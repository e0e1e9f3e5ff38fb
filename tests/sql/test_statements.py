"""Every statement: documented, prepared against the schema, used, and with the parameters that the code gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from tests.archive import prepared
from tests.sql.statements_used import NAMES, SOURCE, calls, numbered, parameters, text

from qchive.api.jobs import InternalJobStatusEnum, JobQuery
from qchive.api.logs import AccessLogQuery, AccessLogSummaryQuery, ErrorLogQuery
from qchive.api.managers import ManagerQuery
from qchive.api.molecules import MoleculeQuery
from qchive.api.records import RecordQuery, SelectionQuery, query_type
from qchive.api.rules import RuleQuery
from qchive.db import where
from qchive.db.binary import PACKS
from qchive.kinds import KINDS
from qchive.status import ACTIONS, EVENTS, Effect, Status


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[psycopg.Connection[Any]]:
    with prepared(databases) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_says_what_it_is_for_and_is_one(name: str) -> None:
    sql = text(name)
    assert re.match(r"-- [A-Z].*[a-z.,:;)]\n", sql), "the first line says what and why"
    assert ";" not in re.sub(r"--.*", "", sql), "one statement, without a semicolon"
    assert "SELECT *" not in re.sub(r"SELECT \* FROM (\(\n\s*SELECT \* FROM )?unnest", "", sql)
    assert not re.search(r"%(?!\(\w+\)b|%)", sql), "all parameters are named and binary"


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_fits_the_schema(conn: psycopg.Connection[Any], name: str) -> None:
    sql = text(name)
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)b", sql)))
    types = f"({', '.join(['unknown'] * len(names))})" if names else ""
    conn.execute(f"PREPARE one {types} AS {numbered(sql)}")
    (found,) = conn.execute("SELECT parameter_types::oid[] FROM pg_prepared_statements WHERE name = 'one'").fetchone()  # type: ignore[misc]
    assert set(found) <= PACKS.keys(), "a parameter of a type that nobody packs"
    conn.execute("DEALLOCATE one")


def test_every_statement_is_used_and_every_used_one_exists() -> None:
    assert {name for _, name, _ in calls()} == set(NAMES)


@pytest.mark.parametrize(("where_", "name", "given"), [pytest.param(*c, id=f"{c[0]} {c[1]}") for c in calls()])
def test_the_code_gives_a_statement_its_parameters(where_: str, name: str, given: set[str] | None) -> None:
    if given is not None:
        assert given == parameters(text(name)), where_


def test_sql_stands_in_sql_files() -> None:
    tables = "|".join(re.findall(r"CREATE TABLE (\w+)", (SOURCE / "db" / "schema.sql").read_text()))
    sql = re.compile(rf"\b(FROM|INTO|UPDATE|JOIN) ({tables})\b")
    elsewhere = {"db/where.py", "db/migrate.py"}
    found = {
        str(path.relative_to(SOURCE)): line.strip()
        for path in SOURCE.rglob("*.py")
        for line in path.read_text().splitlines()
        if sql.search(line) and str(path.relative_to(SOURCE)) not in elsewhere
    }
    assert found == {}


# --- statuses -----------------------------------------------------------------------------------------------------


def test_the_statuses_of_the_database_are_those_of_the_code(conn: psycopg.Connection[Any]) -> None:
    (labels,) = conn.execute("SELECT array_agg(e::text) FROM unnest(enum_range(NULL::record_status)) e").fetchone()  # type: ignore[misc]
    assert set(labels) == {s.value for s in Status}
    (labels,) = conn.execute("SELECT array_agg(e::text) FROM unnest(enum_range(NULL::job_status)) e").fetchone()  # type: ignore[misc]
    assert set(labels) == {s.value for s in InternalJobStatusEnum}


def test_statuses_are_moved_by_a_handful_of_statements_that_say_which() -> None:
    """The moves that statements promise in brackets are those of EVENTS; `records/move` serves ACTIONS."""
    writes = {n for n in NAMES if re.search(r"UPDATE record\b[^;]*?SET[^;]*?\bstatus = ", text(n))}
    assert writes == {
        "flows/start",
        "records/finish",
        "records/move",
        "records/quarantine",
        "records/release",
        "tasks/claim",
    }
    promised = set()
    for name in writes - {"records/move"}:
        comment = " ".join(line.removeprefix("--").strip() for line in text(name).splitlines() if line.startswith("--"))
        for sources, target in re.findall(r"([\w, ]+) -> (\w+)", re.search(r"\(([^()]*->[^()]*)\)", comment)[1]):  # type: ignore[index]
            promised.add((frozenset(s.strip() for s in sources.split(",")), target))
    assert promised == {(frozenset(s.value for s in e.sources), e.target.value) for e in EVENTS.values()}


def test_literals_of_statuses_exist() -> None:
    values = {s.value for s in Status}
    for name in NAMES:
        for compared in re.findall(r"\bstatus\s*(?:=|<>)\s*'(\w+)'", text(name)):
            assert compared in values, name
        for listed in re.findall(r"\bstatus\s+IN\s*\(([^)]*)\)", text(name)):
            assert set(re.findall(r"'(\w+)'", listed)) <= values, name


def test_the_rows_of_the_life_of_a_record_are_consistent() -> None:
    moving = {a.name: a for a in ACTIONS.values() if a.undoable and a.effect is not Effect.keep}
    for action in ACTIONS.values():
        assert action.target not in action.sources
        assert (action.target is not None) is (action.effect in (Effect.push, Effect.clear))
        assert not action.sources & set(action.also)
        assert len(set(action.also.values())) <= 1, "the one statement has one other target"
        assert action.name in moving or not action.also
    for event in EVENTS.values():
        assert event.target not in event.sources
    pushed = {a.target for a in moving.values() if a.effect is Effect.push}
    assert pushed == {source for a in moving.values() if a.effect is Effect.pop for source in a.sources}
    assert Status.complete in {source for a in moving.values() if a.effect is Effect.push for source in a.sources}


# --- filters ------------------------------------------------------------------------------------------------------


def test_every_filter_has_one_fragment_and_every_fragment_a_filter() -> None:
    page = {"limit", "cursor", "include", "exclude"}
    assert set(RecordQuery.__struct_fields__) - page == set(where.FRAGMENTS["record"])
    both = where.FRAGMENTS["record"].keys() | where.FRAGMENTS["selection"].keys()
    assert set(SelectionQuery.__struct_fields__) - page == both
    assert set(MoleculeQuery.__struct_fields__) - page == set(where.FRAGMENTS["molecule"])
    assert set(ManagerQuery.__struct_fields__) - page == set(where.FRAGMENTS["manager"])
    assert set(RuleQuery.__struct_fields__) - page == set(where.FRAGMENTS["rule"])
    assert set(JobQuery.__struct_fields__) - page == set(where.FRAGMENTS["job"])
    assert set(AccessLogQuery.__struct_fields__) - page == set(where.FRAGMENTS["access"])
    assert set(AccessLogSummaryQuery.__struct_fields__) - {"group_by"} < set(where.FRAGMENTS["access"])
    assert set(ErrorLogQuery.__struct_fields__) - page == set(where.FRAGMENTS["server error"])
    for kind in KINDS.values():
        own = set(query_type(kind).__struct_fields__) - set(RecordQuery.__struct_fields__)
        assert own == {*kind.filters, *kind.molecule_searches, "keywords"}
        assert not set(kind.filters) & set(where.FRAGMENTS["record"])


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_all_filters_of_records_together_are_valid_sql(conn: psycopg.Connection[Any], kind: str | None) -> None:
    of = KINDS[kind] if kind else None
    type_ = query_type(of) if of else SelectionQuery
    times = {n: "2020-01-01T00:00:00Z" for n in type_.__struct_fields__ if n.endswith(("_before", "_after"))}

    full: dict[str, Any] = (
        {n: [] for n in type_.__struct_fields__ if n not in times} | times | {"limit": 1, "cursor": 5}
    )
    query = msgspec.convert(full, type_)
    assert conn.execute(*where.records(query, of, 1)).fetchall() == []  # type: ignore[arg-type]
