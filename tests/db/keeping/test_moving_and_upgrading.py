"""Moving to another PostgreSQL, and upgrades that are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.archive import prepared
from tests.db.keeping.copies import killed, others, state
from tests.factories import sql, until
from tests.sql.test_migrations import old, shape

from qchive.db import migrate
from qchive.db.embedded import EmbeddedPostgres
from qchive.db.keeping import place, verbs
from qchive.errors import DatabaseFailed, DataInUse, NoArchive, NotEmpty, OldSchema, StillConnected, WrongSchema


def test_what_is_moved_is_the_same_and_what_was_stays(full: str, database: str) -> None:
    before = state(full)
    verbs.move(full, database)
    assert state(database) == before == state(full)


def test_nothing_is_moved_into_a_database_that_is_not_empty(full: str, databases: Any) -> None:
    with prepared(databases) as conninfo:
        before = state(conninfo)
        with pytest.raises(NotEmpty):
            verbs.move(full, conninfo)
        assert state(conninfo) == before


@pytest.mark.parametrize("at", ["record", "comparing record"])
def test_a_killed_move_leaves_nothing(full: str, database: str, at: str) -> None:
    killed("move", full, database, at)
    until(lambda: others(database) == 0)
    assert verbs.is_empty(database)
    until(lambda: others(full) == 0)


def test_a_difference_is_found_and_nothing_is_moved(full: str, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        # Rows that go missing on the way, as a fault of ours might lose them.
        forward = verbs.loading.load

        def lossy(conn: Any, *rest: Any) -> None:
            forward(conn, *rest)
            conn.execute("UPDATE comment SET text = 'other' WHERE id = (SELECT min(id) FROM comment)")

        patched.setattr(verbs.loading, "load", lossy)
        with pytest.raises(DatabaseFailed, match="comment is not the same in both"):
            verbs.move(full, database)
    assert verbs.is_empty(database)


def test_a_database_that_nobody_reaches_is_a_sentence(full: str) -> None:
    with pytest.raises(DatabaseFailed, match="PostgreSQL: "):
        verbs.move(full, "postgresql://ada@127.0.0.1:9/nowhere")


# --- places -------------------------------------------------------------------------------------------------------


def test_the_embedded_database_is_reached_while_it_runs_and_when_it_does_not(open_folder: Path) -> None:
    with pytest.raises(NoArchive), place.running(open_folder):
        raise AssertionError
    assert list(open_folder.iterdir()) == []
    with place.running(open_folder, make=True) as conninfo:
        migrate.migrate(conninfo)
    with place.running(open_folder) as conninfo:
        assert verbs.plan(conninfo).found == migrate.VERSION
    with EmbeddedPostgres(open_folder) as running, place.running(open_folder) as conninfo:
        assert conninfo == running.dsn
        assert verbs.plan(conninfo).found == migrate.VERSION
        with pytest.raises(DataInUse), place.running(open_folder, alone=True):
            raise AssertionError


# --- upgrades -----------------------------------------------------------------------------------------------------


def test_an_upgrade_is_looked_at_and_done(databases: Any, database: str) -> None:
    old(database, 1)
    before = shape(database)
    planned = verbs.plan(database)
    assert (planned.found, len(planned.steps)) == (1, migrate.VERSION - 1)
    assert planned.steps[0].startswith("Operations and what they moved, errors that are told apart")
    assert shape(database) == before
    assert verbs.upgrade(database) == planned
    assert verbs.plan(database) == verbs.Upgrade(migrate.VERSION, ())
    with prepared(databases) as new:
        assert shape(database) == shape(new)


def test_an_empty_database_gets_the_schema(database: str) -> None:
    assert verbs.upgrade(database) == verbs.Upgrade(0, ())
    migrate.check(database)


def test_nothing_is_upgraded_under_those_who_are_connected_unless_told_so(database: str) -> None:
    old(database, 1)
    with psycopg.connect(database, application_name="qchive 0.1") as somebody:
        with pytest.raises(StillConnected, match=r"qchive 0\.1 \(process \d+\)") as refusal:
            verbs.upgrade(database)
        assert len(refusal.value.fields["programs"]) == 1
        somebody.rollback()
        assert verbs.upgrade(database, connected_too=True).found == 1


def test_checking_changes_nothing_and_says_what_to_do(database: str) -> None:
    with pytest.raises(OldSchema, match=r"is empty.*run `qchive upgrade`"):
        migrate.check(database)
    old(database, 1)
    with pytest.raises(OldSchema, match=f"has schema 1, this release works on {migrate.VERSION}"):
        migrate.check(database)
    assert verbs.plan(database).found == 1
    sql(database, "UPDATE setting SET value = to_jsonb(%s::int) WHERE key = 'schema'", migrate.VERSION + 1)
    for refused in (migrate.check, verbs.plan, verbs.upgrade):
        with pytest.raises(WrongSchema, match="install the newer release"):
            refused(database)
