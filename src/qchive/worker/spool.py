"""Finished results wait on disk until the server has said what it thinks of them.

One file per result, written beside its name and renamed, so that a name always stands for a whole file. Each file says
which manager claimed the task, because only that one may return it: a worker started again on the same folder returns
what an earlier one left. Files that cannot be read, and results that the server will never take, are put into
sub-folders where they are in nobody's way.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec

from qchive.api.managers import ManagerName
from qchive.errors import DataInUse, LocalProblem
from qchive.worker.executors.executor import Finished

log = logging.getLogger("qchive.worker")

_MAGIC = b"qchive-result-1\n"
_DIGEST = 16
_ENDING = ".result"
_WORTH_A_SYNC = 1.0
"""Seconds of computing from which on a result is forced to the disk. A killed worker loses nothing either way; after a
power cut, a cheaper result is computed again in less time than forcing all of them takes."""


class SpoolUnusable(LocalProblem):
    """The folder for finished results cannot be made or written."""

    code = "spool_unusable"


class Waiting(msgspec.Struct, frozen=True):
    """A result in the spool."""

    task_id: int
    claimed_as: ManagerName
    size: int


class _File(msgspec.Struct, array_like=True):
    task_id: int
    claimed_as: ManagerName
    result: bytes


class Spool:
    """The results of one worker; its methods may be called from any thread.

    Raises:
        DataInUse: another worker uses this folder.
        SpoolUnusable: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._guard = threading.Lock()
        self._waiting: dict[int, Waiting] = {}
        self._unwritten: dict[int, bytes] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(folder / "lock")
        except OSError as e:
            raise SpoolUnusable(f"Cannot keep results in {folder}: {e.strerror}. Give another --spool folder.") from e
        self._load()

    def close(self) -> None:
        """Let another worker use the folder."""
        self._lock.close()

    def put(self, finished: Finished) -> None:
        """Keep a result. If the disk does not take it, it is kept in memory and the log says so."""
        body = msgspec.msgpack.encode(_File(finished.task_id, finished.claimed_as, finished.result))
        try:
            self._write(self._path(finished.task_id), body, sync=finished.wall_time >= _WORTH_A_SYNC)
        except OSError as e:
            log.error("A result cannot be kept in %s (%s); it is only in memory until returned", self.folder, e)
            with self._guard:
                self._unwritten[finished.task_id] = finished.result
        with self._guard:
            entry = Waiting(finished.task_id, finished.claimed_as, len(finished.result))
            self._waiting[finished.task_id] = entry

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self) -> list[Waiting]:
        """What is to be returned, longest-waiting first."""
        with self._guard:
            return list(self._waiting.values())

    def results(self, task_ids: Iterable[int]) -> dict[int, bytes]:
        """The results by task id. One whose file has become unreadable is set aside and left out."""
        found = {}
        for task_id in task_ids:
            if task_id in self._unwritten:
                found[task_id] = self._unwritten[task_id]
            elif (read := self._read(self._path(task_id))) is not None:
                found[task_id] = read.result
            else:
                self._forget(task_id)
        return found

    def confirmed(self, task_ids: Iterable[int]) -> None:
        """The server has accepted or rejected these: they need not be kept."""
        for task_id in task_ids:
            self._path(task_id).unlink(missing_ok=True)
            self._forget(task_id)

    def postpone(self, task_ids: Iterable[int]) -> None:
        """Let the others go first."""
        with self._guard:
            for task_id in task_ids:
                self._waiting[task_id] = self._waiting.pop(task_id)

    def set_aside(self, task_id: int, why: str) -> None:
        """Keep a result that the server will never take where it is in nobody's way."""
        self._aside(self._path(task_id), "refused", why)
        self._forget(task_id)

    def _forget(self, task_id: int) -> None:
        with self._guard:
            self._waiting.pop(task_id, None)
            self._unwritten.pop(task_id, None)

    def _path(self, task_id: int) -> Path:
        return self.folder / f"{task_id}{_ENDING}"

    def _write(self, path: Path, body: bytes, *, sync: bool) -> None:
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.write(_MAGIC + _digest(body) + body)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        unfinished.rename(path)
        if sync:
            _sync_folder(self.folder)

    def _load(self) -> None:
        """Find what an earlier worker has left, oldest first."""
        for unfinished in self.folder.glob("*.unfinished"):
            unfinished.unlink()
        files = sorted(self.folder.glob(f"*{_ENDING}"), key=lambda f: (f.stat().st_mtime_ns, f.name))
        for path in files:
            if (read := self._read(path)) is not None:
                self._waiting[read.task_id] = Waiting(read.task_id, read.claimed_as, len(read.result))
        if self._waiting:
            log.info("%d results of an earlier worker are still to be returned", len(self._waiting))

    def _read(self, path: Path) -> _File | None:
        try:
            raw = path.read_bytes()
            start = len(_MAGIC) + _DIGEST
            body = raw[start:]
            if raw[:start] != _MAGIC + _digest(body):
                raise ValueError("its checksum is wrong")
            read = msgspec.msgpack.decode(body, type=_File)
            if path != self._path(read.task_id):
                raise ValueError("it is not what its name says")
        except (OSError, ValueError, msgspec.DecodeError) as e:
            self._aside(path, "unreadable", str(e))
            return None
        return read

    def _aside(self, path: Path, where: str, why: str) -> None:
        log.error("%s is put into the folder %r: %s", path, where, why)
        try:
            (self.folder / where).mkdir(exist_ok=True)
            path.rename(self.folder / where / path.name)
        except OSError as e:
            log.error("%s cannot be put away: %s", path, e)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST).digest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path) -> IO[str]:
    """The file, held for as long as it is open; the kernel lets go of it whatever becomes of this process."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip() or "unknown"
        file.close()
        raise DataInUse(
            f"Another worker (process {pid}) keeps its results in {path.parent}. Give this one another --spool folder.",
            pid=pid,
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
