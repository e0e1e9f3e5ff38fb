"""An embedded PostgreSQL: a real server as a child process, on a unix socket, with nothing to install or configure."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from qchive.db import account as accounts
from qchive.db import cluster
from qchive.db.binaries import OLDEST, Binaries, all_binaries, find_binaries, missing
from qchive.db.folder import Folder, Lock, default_data
from qchive.errors import DataUnreachable, LocalProblem, PostgresFailed, PostgresMissing, WrongMajor
from qchive.logfile import open_log, tail
from qchive.spawn import Account, Order, ended, spawn

__all__ = ["EmbeddedPostgres", "Probe", "default_data", "probe"]

_RETRIES = 20


class EmbeddedPostgres:
    """A PostgreSQL server on its own data, ended with this process at the latest.

    Its files lie in `<data>/postgres` (see `qchive.db.folder`). `prefer` is a folder with PostgreSQL's binaries to use
    instead of those found; `settings` override our own choice of server parameters. Its methods may be called from any
    thread, one at a time.
    """

    def __init__(self, data: Path, *, prefer: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Folder(data)
        self._prefer = prefer
        self._settings = {**tuned(), **(settings or {})}
        self._lock = Lock(self.folder.lock)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return "PostgreSQL"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder.log

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, None while it does not run."""
        return None if self._process is None or self.poll() is not None else self._process.pid

    @property
    def dsn(self) -> str:
        """Where to connect to. Stays the same until `stop`, also over a crash and a new `start`."""
        if self._socket_folder is None:
            raise PostgresFailed("PostgreSQL has not been started.", log="")
        return cluster.dsn(self._socket_folder)

    def start(self) -> str:
        """Start the server, making cluster and database when they are new, and say where to connect to.

        To be called again after a crash; does nothing when it runs already. Raises DataInUse, DataUnreachable,
        PostgresMissing, WrongMajor or PostgresFailed.
        """
        if self.pid is not None:
            return self.dsn
        account = accounts.for_postgres(self.folder.cluster)
        self.folder.make(account)
        self._lock.acquire()
        try:
            binaries = self._choose(account)
            if self.folder.major is None:
                sync = self._settings["fsync"] != "off"
                cluster.create(self.folder, binaries, account, sync=sync)
            if self._socket_folder is None:
                self._socket_folder = self.folder.make_socket_folder(account)
            self._launch(binaries, account)
        except BaseException:
            self.stop(timeout=5.0)
            raise
        return self.dsn

    def poll(self) -> int | None:
        """The exit code if the server has ended (negative: the signal that killed it), None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until the server has ended, at most `timeout` seconds; its exit code, or None if it still runs."""
        return ended(self._process, timeout)

    def stop(self, timeout: float = 60.0) -> None:
        """End the server: everybody is disconnected, everything is written; by force after `timeout` seconds."""
        try:
            if self._process is not None:
                self._end(self._process, timeout)
        finally:
            self._process = None
            if self._socket_folder is not None:
                self.folder.remove_socket_folder()
                self._socket_folder = None
            self._lock.release()

    def _end(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        # A fast shutdown, an immediate one, none at all: what was confirmed survives each of them.
        for number, patience in ((signal.SIGINT, timeout), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            if process.poll() is None:
                process.send_signal(number)
                self.wait(patience)
        if process.returncode != 0:  # a killed postmaster leaves busy servers behind
            cluster.end_leftovers(self.folder)

    def _choose(self, account: Account | None) -> Binaries:
        """The first binaries of the right version that PostgreSQL's user can run, as they are or copied."""
        written_by = self.folder.major
        found: list[Binaries] = []
        for binaries in all_binaries(self._prefer):
            found.append(binaries)
            if binaries.major >= OLDEST and written_by in (None, binaries.major):
                usable = cluster.usable_copy(self.folder, binaries, account)
                if usable is not None:
                    return usable
        raise self._nothing_usable(found, written_by, account or accounts.current())

    def _nothing_usable(self, found: list[Binaries], written_by: int | None, who: Account) -> LocalProblem:
        right = [binaries for binaries in found if binaries.major >= OLDEST and written_by in (None, binaries.major)]
        here = ", ".join(f"{binaries.version} in {binaries.bindir}" for binaries in right or found)
        if right:
            return PostgresMissing(
                f"There is PostgreSQL {here}, but the user {who.name}, as whom it has to run, cannot start it there. "
                "Install it where this user may enter.",
                found=[str(binaries.bindir) for binaries in right],
            )
        if written_by is None or not found:
            return missing(written_by, found)
        return WrongMajor(
            f"The data in {self.folder.data} were written by PostgreSQL {written_by}, and there is only {here}. Use "
            f"PostgreSQL {written_by} for them, or with it a `qchive backup`, to be restored into a new data folder.",
            written_by=written_by,
            found=[binaries.version for binaries in found],
        )

    def _launch(self, binaries: Binaries, account: Account | None) -> None:
        """Start the postmaster and wait until it takes connections."""
        for attempt in range(_RETRIES + 1):
            cluster.end_leftovers(self.folder)
            for left in self._socket_path().glob(".s.PGSQL.*"):
                left.unlink()
            said_from = self._spawn(binaries, account)
            if self._ready():
                return
            said = tail(self.folder.log, said_from)
            if "shared memory block" in said and attempt < _RETRIES:  # of servers that are just ending
                time.sleep(0.25)
                continue
            raise PostgresFailed(f"PostgreSQL did not start. Its log, {self.folder.log}, says:\n{said}", log=said)

    def _socket_path(self) -> Path:
        assert self._socket_folder is not None
        return self._socket_folder

    def _spawn(self, binaries: Binaries, account: Account | None) -> int:
        """Start the postmaster; the place in the log where it begins to write."""
        argv = [
            str(binaries.postgres),
            "-D",
            str(self.folder.cluster),
            "-k",
            str(self._socket_path()),
            "-p",
            str(cluster.PORT),
        ]
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]
        log = open_log(self.folder.log)
        try:
            said_from = os.fstat(log).st_size
            order = Order(argv, binaries.environment(), log, signal.SIGINT, account)
            self._process = spawn(order)
        finally:
            os.close(log)
        return said_from

    def _ready(self) -> bool:
        """Wait until our postmaster says it is ready (True) or has ended (False); recovery may take its time."""
        assert self._process is not None
        note = self.folder.cluster / "postmaster.pid"
        while self._process.poll() is None:
            try:
                lines = note.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[7].strip() == "ready" and lines[0] == str(self._process.pid):
                return True
            time.sleep(0.005)
        return False


def tuned() -> dict[str, str]:
    """The server parameters of an embedded server: safe, and fit for many small transactions on one machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        # A confirmed result is on disk: with synchronous_commit=off rows were lost when PostgreSQL was killed.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        # After a crash all files are synced first: one by one that takes seconds.
        **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
        "wal_compression": "on",
        "max_wal_size": "2GB",
        "checkpoint_completion_target": "0.9",
        "shared_buffers": f"{min(max(memory // 32, 128), 512)}MB",
        "effective_cache_size": f"{max(memory // 4, 256)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_connections": "100",
        "max_locks_per_transaction": "256",
        "random_page_cost": "1.1",
        "jit": "off",
        # Parallel plans gain little here and need /dev/shm, which containers keep small.
        "max_parallel_workers_per_gather": "0",
        "max_parallel_maintenance_workers": "0",
        "autovacuum_naptime": "15s",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.02",
        "autovacuum_vacuum_cost_limit": "1000",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_checkpoints": "off",
        "log_min_duration_statement": "2s",
    }


@dataclass(frozen=True)
class Probe:
    """What an embedded PostgreSQL would meet on this machine."""

    binaries: Binaries | None
    problem: LocalProblem | None
    user: str
    data: Path
    major: int | None
    in_use_by: int | None
    free_bytes: int


def probe(data: Path | None = None, *, prefer: Path | None = None) -> Probe:
    """Look, without changing anything, at what `EmbeddedPostgres(data)` would use and what would stop it."""
    folder = Folder(data or default_data())
    binaries: Binaries | None = None
    problem: LocalProblem | None = None
    major, user = None, accounts.current()
    try:
        major = folder.major
        user = accounts.for_postgres(folder.cluster) or user
        binaries = find_binaries(prefer, major=major)
    except LocalProblem as error:
        problem = error
    except OSError as error:
        problem = DataUnreachable(f"The data folder {folder.data} cannot be used: {error}", path=str(folder.data))
    existing = next(place for place in folder.path.parents if os.access(place, os.F_OK))
    free = shutil.disk_usage(existing).free
    return Probe(binaries, problem, user.name, folder.data, major, Lock(folder.lock).holder(), free)
