"""Restoring: all of a backup or nothing, into an empty database unless told otherwise, by any release since."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from tests.archive import prepared
from tests.db.keeping.copies import holds, killed, others, state
from tests.factories import sql, until
from tests.sql.test_migrations import old, shape

from qchive.db.keeping import file, verbs
from qchive.db.migrate import VERSION
from qchive.errors import BackupDamaged, BackupRefused, DatabaseFailed, NotEmpty, StillConnected, WrongSchema


def changed(backup: Path, to: Path, change: Any) -> Path:
    """A backup whose manifest says something else."""
    with file.opened(backup) as source, file.written(to) as stream:
        source.contents = change(source.contents)
        file.write(stream, source, verbs.silent)
    return to


@pytest.mark.parametrize("at", ["checksums", "molecule", "worker", "indexes"])
def test_a_killed_restore_leaves_nothing(backup: Path, database: str, at: str) -> None:
    killed("restore", database, backup, at)
    until(lambda: others(database) == 0)
    assert verbs.is_empty(database)
    verbs.restore(database, backup)
    assert holds(database, "record") > 0


def test_a_killed_replacement_leaves_what_was_there(full: str, backup: Path, databases: Any, tmp_path: Path) -> None:
    with prepared(databases) as conninfo:
        before = state(conninfo)
        with pytest.raises(DatabaseFailed):
            verbs.restore(conninfo, backup, _ends(conninfo, "worker"), replace=True)
        assert state(conninfo) == before
        verbs.restore(conninfo, backup, replace=True)
        assert state(conninfo) == state(full)


def _ends(conninfo: str, at: str) -> Any:
    def tell(what: str, done: int) -> None:
        if what == at:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            sql(conninfo, f"{query} AND pid <> pg_backend_pid()")

    return tell


def test_something_in_the_database_is_not_replaced_unasked(backup: Path, databases: Any) -> None:
    for make in ("CREATE TABLE thing (id int)", "CREATE TYPE thing AS ENUM ('a')", "CREATE VIEW thing AS SELECT 1"):
        with databases.fresh() as conninfo:
            sql(conninfo, make)
            with pytest.raises(NotEmpty, match="is not empty"):
                verbs.restore(conninfo, backup)
            verbs.restore(conninfo, backup, replace=True)
            assert sql(conninfo, "SELECT to_regclass('thing'), to_regtype('thing')") == [(None, None)]


def test_what_extensions_brought_stays(full: str, backup: Path, database: str) -> None:
    sql(database, "CREATE EXTENSION pg_trgm")
    assert verbs.is_empty(database)
    verbs.restore(database, backup)
    verbs.restore(database, backup, replace=True)
    assert sql(database, "SELECT similarity('a', 'a')") == [(1.0,)]


def test_nobody_else_may_be_connected(backup: Path, database: str) -> None:
    with psycopg.connect(database, application_name="somebody"), pytest.raises(StillConnected, match="somebody"):
        verbs.restore(database, backup)
    assert verbs.is_empty(database)


def test_a_server_that_starts_meanwhile_finds_all_of_it(full: str, backup: Path, database: str) -> None:
    from qchive.db.migrate import migrate

    starting: list[threading.Thread] = []
    found: list[int] = []

    def start(what: str, done: int) -> None:
        if what == "molecule" and not starting:
            starting.append(threading.Thread(target=lambda: found.append(migrate(database))))
            starting[0].start()

    verbs.restore(database, backup, start)
    starting[0].join(30)
    assert found == [VERSION]
    assert state(database) == state(full)


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_backup_of_an_older_schema_is_brought_forward(databases: Any, tmp_path: Path, version: int) -> None:
    with databases.fresh() as older, databases.fresh() as copy, prepared(databases) as new:
        old(older, version)
        assert verbs.back_up(older, tmp_path / "old").contents.schema == version
        verbs.restore(copy, tmp_path / "old")
        assert shape(copy) == shape(new)
        verbs.upgrade(older)
        here, there = state(copy), state(older)
        assert {n: v for n, v in here.items() if n != "shape"} == {n: v for n, v in there.items() if n != "shape"}
        assert holds(copy, "move") == 1


def test_a_backup_of_a_newer_schema_is_refused(backup: Path, database: str, tmp_path: Path) -> None:
    newer = changed(backup, tmp_path / "newer", lambda c: msgspec.structs.replace(c, schema=VERSION + 1, qchive="9.9"))
    for refused in (lambda: verbs.restore(database, newer), lambda: verbs.examine(newer)):
        with pytest.raises(WrongSchema, match=r"QCHive 9\.9"):
            refused()
    assert verbs.is_empty(database)


def test_a_backup_of_a_newer_format_is_refused(backup: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(file, "FORMAT", 2)
    with file.opened(backup) as source, file.written(tmp_path / "newer") as stream:
        file.write(stream, source, verbs.silent)
    monkeypatch.undo()
    with pytest.raises(WrongSchema, match="has format 2"):
        verbs.examine(tmp_path / "newer")


def test_a_backup_with_other_tables_than_its_schema_is_refused(backup: Path, database: str, tmp_path: Path) -> None:
    def without_attempts(contents: Any) -> Any:
        return msgspec.structs.replace(contents, tables=[t for t in contents.tables if t.name != "attempt"])

    fewer = changed(backup, tmp_path / "fewer", without_attempts)
    with pytest.raises(BackupDamaged, match="other tables than this copy: attempt"):
        verbs.restore(database, fewer)
    assert verbs.is_empty(database)


def test_limits_of_parts_are_never_run_as_statements(backup: Path, database: str, tmp_path: Path) -> None:
    def evil(contents: Any) -> Any:
        bound = "FOR VALUES FROM ('2030-01-01') TO ('2030-02-01'); DROP TABLE record; --"
        part = msgspec.structs.replace(contents.parts[0], name="move_evil", bound=bound)
        return msgspec.structs.replace(contents, parts=(*contents.parts, part))

    with pytest.raises(BackupDamaged, match="limits that nobody can make"):
        verbs.restore(database, changed(backup, tmp_path / "evil", evil))


# --- damages ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_cut_off_anywhere_is_refused(backup: Path, database: str, tmp_path: Path) -> None:
    data = backup.read_bytes()
    for end in [0, 1, 100, *range(200, len(data), len(data) // 40), len(data) - 30, len(data) - 1]:
        (tmp_path / "cut").write_bytes(data[:end])
        with pytest.raises(BackupDamaged, match="no backup of QCHive"):
            verbs.examine(tmp_path / "cut")
        with pytest.raises(BackupDamaged):
            verbs.restore(database, tmp_path / "cut")
    assert verbs.is_empty(database)


def test_a_flipped_bit_is_found_or_does_no_harm(backup: Path, tmp_path: Path) -> None:
    data = backup.read_bytes()
    whole = verbs.examine(backup)
    found = 0
    for place in range(0, len(data), max(1, len(data) // 700)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            # What a ZIP archive says twice, or says of times and rights, may be wrong without a loss.
            assert verbs.examine(tmp_path / "damaged") == whole
        except BackupDamaged:
            found += 1
    assert found > 500


def test_damaged_rows_are_refused_before_anything_is_done(backup: Path, database: str, tmp_path: Path) -> None:
    data = bytearray(backup.read_bytes())
    data[data.index(b"tables/record.zst") + 60] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(BackupDamaged):
        verbs.restore(database, tmp_path / "damaged")
    assert verbs.is_empty(database)


def test_a_backup_that_does_not_exist_is_a_sentence(database: str, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="cannot be read"):
        verbs.restore(database, tmp_path / "nothing")
    with pytest.raises(BackupRefused, match="cannot be written"):
        verbs.back_up(database, tmp_path / "no" / "folder")
