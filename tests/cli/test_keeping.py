"""`qchive backup`, `restore`, `upgrade` and `move-to`, and servers that must not migrate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from qchive.db.keeping import place, verbs
from qchive.db.migrate import VERSION
from tests.archive import prepared, running
from tests.cli.conftest import AtTerminal, Run
from tests.db.keeping.copies import state
from tests.factories import add, http, sql
from tests.sql.test_migrations import old


@pytest.fixture
def some(databases: Any) -> Iterator[str]:
    """A database with a few records."""
    with prepared(databases) as conninfo:
        with running(conninfo) as server, http(server.address) as api:
            add(api, 3)
        yield conninfo


@pytest.fixture
def saved(some: str, tmp_path: Path) -> Path:
    """A backup of it."""
    verbs.back_up(some, tmp_path / "saved")
    return tmp_path / "saved"


def test_a_backup_is_made_looked_at_and_restored(qchive: Run, some: str, database: str, tmp_path: Path) -> None:
    file = tmp_path / "today"
    made = qchive("backup", file, "--database-url", some)
    assert (made.code, made.out) == (0, "")
    assert f"schema {VERSION}, 3 records as of" in made.err
    seen = qchive("restore", "--check", file)
    assert seen.code == 0
    assert seen.out.startswith(f"{file} is whole: schema {VERSION}, 3 records as of")
    done = qchive("restore", file, "--database-url", database)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("Restored, as it was at ")
    assert state(database) == state(some)


def test_a_file_that_is_there_is_refused_in_a_sentence(qchive: Run, some: str, saved: Path) -> None:
    ended = qchive("backup", saved, "--database-url", some)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"qchive: {saved} is there already: choose another name, or remove it yourself\n"


def test_a_damaged_file_is_refused_in_a_sentence(qchive: Run, saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1])
    ended = qchive("restore", "--check", saved)
    assert (ended.code, ended.out) == (1, "")
    assert "is no backup of QCHive, or is cut off or damaged" in ended.err


def test_what_a_database_holds_goes_only_when_its_name_is_given(qchive: Run, some: str, saved: Path) -> None:
    sql(some, "DELETE FROM record WHERE id = 1")
    before = state(some)
    (name,) = sql(some, "SELECT current_database()")[0]
    for given in ([], ["--replace", "another"]):
        ended = qchive("restore", saved, "--database-url", some, *given)
        assert ended.code == 2
        assert f"nothing was done: the database {name} is not empty" in ended.err
    assert state(some) == before
    assert qchive("restore", saved, "--database-url", some, "--replace", name).code == 0
    assert sql(some, "SELECT count(*) FROM record") == [(3,)]


@pytest.mark.parametrize("right", [True, False])
def test_the_name_is_asked_for_at_a_terminal(some: str, saved: Path, right: bool) -> None:
    (name,) = sql(some, "SELECT current_database()")[0]
    sql(some, "DELETE FROM record WHERE id = 1")
    command = AtTerminal("restore", saved, "--database-url", some)
    command.asks("Type its name to go on: ")
    assert command.answer(name if right else "y").code == (0 if right else 2)
    assert sql(some, "SELECT count(*) FROM record") == [(3 if right else 2,)]


def test_an_upgrade_says_from_where_to_where(qchive: Run, database: str, tmp_path: Path) -> None:
    old(database, 1)
    url = ("--database-url", database)
    plan = qchive("upgrade", *url, "--dry-run")
    assert plan.out.splitlines()[0] == f"The database has schema 1, this release works on {VERSION}:"
    assert "  2  Operations and what they moved" in plan.out
    done = qchive("upgrade", *url, "--backup", tmp_path / "before")
    assert (done.code, done.out) == (0, plan.out)
    assert verbs.examine(tmp_path / "before").contents.schema == 1
    assert "nothing to do" in qchive("upgrade", *url).out


def test_no_backup_is_made_for_an_upgrade_that_is_refused(qchive: Run, database: str, tmp_path: Path) -> None:
    old(database, 1)
    with psycopg.connect(database):
        ended = qchive("upgrade", "--database-url", database, "--backup", tmp_path / "before")
    assert ended.code == 1
    assert "is in use by" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["server", "upkeep", "up"])
def test_a_process_that_must_not_migrate_refuses_an_old_schema(database: str, command: str, tmp_path: Path) -> None:
    old(database, 1)
    argv = [sys.executable, "-m", "qchive.cli", command, "--database-url", database, "--no-migrate"]
    argv += ["--data", str(tmp_path), "--port", "0"] if command == "up" else []
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"has schema 1, this release works on {VERSION}: run `qchive upgrade`" in ended.stderr
    assert verbs.plan(database).found == 1


def test_an_archive_moves_out_of_its_folder(qchive: Run, saved: Path, database: str, open_folder: Path) -> None:
    assert qchive("restore", saved, "--data", open_folder).code == 0
    with place.running(open_folder) as here:
        before = state(here)
        refused = qchive("move-to", database, "--data", open_folder)
        assert refused.code == 1
        assert "are in use by process" in refused.err
    moved = qchive("move-to", database, "--data", open_folder)
    assert moved.code == 0, moved.err
    assert f"qchive up --data {open_folder} --database-url postgresql://qchive@/" in moved.out
    assert state(database) == before
    with place.running(open_folder) as here:
        assert state(here) == before


def test_a_folder_without_an_archive_is_a_sentence(qchive: Run, tmp_path: Path) -> None:
    for command in (["backup", tmp_path / "file"], ["upgrade"], ["move-to", "postgresql://nowhere"]):
        ended = qchive(*command, "--data", tmp_path / "none")
        assert ended.code == 1
        assert f"There is no archive in {tmp_path / 'none'}" in ended.err
    assert list(tmp_path.iterdir()) == []
