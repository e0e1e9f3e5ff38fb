"""A backup of a live database: one state that existed, a whole file or none."""

from __future__ import annotations

import fcntl
import threading
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard
from tests.archive import prepared, running
from tests.db.keeping.copies import holds, killed, state
from tests.factories import add, http, sql
from tests.life.storm import FORBIDDEN, Storm
from tests.runners import do

from qchive.db.keeping import snapshot, verbs
from qchive.errors import BackupRefused, DatabaseFailed, NoArchive, Unavailable
from qchive.server.settings import Settings
from qchive.server.upkeep.months import make_months


def test_a_restored_archive_is_the_same_in_every_table_sequence_and_index(
    full: str, backup: Path, database: str
) -> None:
    verbs.restore(database, backup)
    here, there = state(full), state(database)
    assert here == there
    tables = {table.name for table in verbs.examine(backup).contents.tables}
    assert {name for name in tables if holds(full, name) == 0} == set(), "there is something in every table"
    statuses = sql(full, "SELECT count(DISTINCT status) FROM record")
    assert statuses == [(7,)]
    assert sorted(sql(database, "SELECT tableoid::regclass::text FROM move WHERE time < '2021-01-01'")) == [
        ("move_2020_02",),
        ("move_other",),
    ]


def test_a_backup_of_a_restored_archive_is_the_same_backup(backup: Path, database: str, tmp_path: Path) -> None:
    verbs.restore(database, backup)
    again = verbs.back_up(database, tmp_path / "again")
    assert again.members == verbs.examine(backup).members


def test_a_restored_archive_goes_on_with_new_ids(backup: Path, database: str) -> None:
    verbs.restore(database, backup)
    (last,) = sql(database, "SELECT max(id) FROM record")[0]
    with running(database) as server, http(server.address) as api:
        assert add(api, 2) == [last + 1, last + 2]


def test_what_is_copied_while_everybody_works_is_a_state_that_was(databases: Any, tmp_path: Path) -> None:
    added: list[int] = []
    over = threading.Event()

    def one_after_the_other(address: str) -> None:
        with http(address) as api:
            while not over.is_set():
                added.extend(add(api, compute_tag="in order"))

    with prepared(databases) as conninfo, running(conninfo) as server:
        storm = Storm(server.address, conninfo, seed=5)
        people = [
            threading.Thread(target=storm.rage, args=(2, 60, 2)),
            threading.Thread(target=one_after_the_other, args=(server.address,)),
        ]
        for one in people:
            one.start()
        made = []
        try:
            while people[0].is_alive():
                made.append(tmp_path / f"{len(made)}")
                verbs.back_up(conninfo, made[-1])
        finally:
            over.set()
            for one in people:
                one.join()
        assert storm.troubles == []
        assert len(made) > 2
        before = -1
        for path in made[:: max(1, len(made) // 6)]:
            with databases.fresh() as copy:
                verbs.restore(copy, path)
                assert {what: rows for what, query in FORBIDDEN.items() if (rows := sql(copy, query))} == {}
                ids = [i for (i,) in sql(copy, "SELECT id FROM record WHERE tag = 'in order' ORDER BY id")]
                assert ids == added[: len(ids)], "of what came one after the other there is a beginning, without gaps"
                assert len(ids) >= before
                before = len(ids)
                ((last,),) = sql(copy, "SELECT max(id) FROM record")
                ((given,),) = sql(copy, "SELECT last_value FROM pg_sequences WHERE sequencename = 'record_id_seq'")
                assert given >= last


def test_nothing_is_written_over(full: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("precious")
    with pytest.raises(BackupRefused, match="is there already"):
        verbs.back_up(full, tmp_path / "kept")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("kept", "precious")]


def test_two_backups_to_one_file_do_not_meet(full: str, tmp_path: Path) -> None:
    refused = []

    def second(what: str, done: int) -> None:
        if not refused:
            with pytest.raises(BackupRefused, match="just being written"):
                verbs.back_up(full, tmp_path / "one")
            refused.append(what)

    verbs.back_up(full, tmp_path / "one", second)
    assert refused
    verbs.examine(tmp_path / "one")


def test_a_backup_that_another_one_finished_just_now_is_not_emptied(
    backup: Path, full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened under the name that it has while it is written, and locked when it has got its own."""
    path = tmp_path / "one"
    path.with_name("one.in_progress").write_bytes(backup.read_bytes())
    lock = fcntl.flock

    def late(file: Any, how: int) -> None:
        path.with_name("one.in_progress").rename(path)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BackupRefused):
        verbs.back_up(full, path)
    assert path.read_bytes() == backup.read_bytes()


def test_a_killed_backup_leaves_no_file_of_that_name_and_the_next_one_takes_its_place(
    full: str, tmp_path: Path
) -> None:
    killed("back_up", full, tmp_path / "one", "record")
    assert [path.name for path in tmp_path.iterdir()] == ["one.in_progress"]
    verbs.back_up(full, tmp_path / "one")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_database_that_ends_meanwhile_leaves_no_file(full: str, tmp_path: Path) -> None:
    def end_it(what: str, done: int) -> None:
        if what == "operation":
            sql(
                full,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE '%%keeping'",
            )

    with pytest.raises(DatabaseFailed, match="PostgreSQL: "):
        verbs.back_up(full, tmp_path / "one", end_it)
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_reads_a_backup(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_database_without_an_archive_is_no_archive(database: str, tmp_path: Path) -> None:
    with pytest.raises(NoArchive):
        verbs.back_up(database, tmp_path / "one")
    sql(database, "CREATE TABLE thing (id int)")
    with pytest.raises(NoArchive):
        verbs.back_up(database, tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_tables_of_others_are_left_out_and_named(databases: Any, tmp_path: Path) -> None:
    with prepared(databases) as conninfo, databases.fresh() as copy:
        sql(conninfo, "CREATE TABLE thing (id serial)")
        sql(conninfo, "INSERT INTO thing DEFAULT VALUES")
        assert verbs.back_up(conninfo, tmp_path / "one").contents.left_out == ("thing",)
        assert verbs.restore(copy, tmp_path / "one").left_out == ("thing",)


def test_other_programs_can_read_a_backup(backup: Path) -> None:
    with zipfile.ZipFile(backup) as archive:
        assert archive.testzip() is None
        rows = zstandard.ZstdDecompressor().decompressobj().decompress(archive.read("tables/record.zst"))
    told = {member.table: member.rows for member in verbs.examine(backup).members}
    assert len(rows.splitlines()) == told["record"] > 0


def test_nobody_waits_for_a_part_of_the_audit_that_cannot_be_made_during_a_backup(databases: Any) -> None:
    with prepared(databases) as conninfo:
        (part,) = sql(conninfo, "SELECT max(relname) FROM pg_class WHERE relname ~ '^move_\\d' AND relkind = 'r'")[0]
        sql(conninfo, f"DROP TABLE {part}")
        settings = Settings()
        with snapshot.snapshot(conninfo):
            refused: list[BaseException] = []

            def make() -> None:
                try:
                    do(conninfo, lambda db: make_months(_impatient(db), settings))
                except Unavailable as error:
                    refused.append(error)

            making = threading.Thread(target=make)
            making.start()
            with psycopg.connect(conninfo, autocommit=True) as conn:
                conn.execute("SET statement_timeout = '5s'")
                while making.is_alive():
                    conn.execute("INSERT INTO move (operation_id, record_id, source) VALUES (1, 1, 'error')")
            assert refused
        do(conninfo, lambda db: make_months(db, settings))
        assert sql(conninfo, "SELECT to_regclass(%s) IS NOT NULL", part) == [(True,)]
        assert holds(conninfo, "move") > 0


def _impatient(db: Any) -> Any:
    db.patience = 1.0
    return db
