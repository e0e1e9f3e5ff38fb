"""The folder that an embedded PostgreSQL lives in: its parts, who may use it, and its manifest.

    <data>/postgres/
      lock            held (flock) by the process that runs it; says which one
      manifest.json   the major version of PostgreSQL that wrote the cluster
      server.log      what PostgreSQL says
      cluster/        the database itself; PostgreSQL's user only
      socket/         its unix socket; PostgreSQL's user (and root) only, which is what guards the database
      binaries/       a copy of the binaries, where their own place is closed to PostgreSQL's user

Rights are only ever set on what this module makes itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from qchive.db import account as accounts
from qchive.errors import DataInUse, DataUnreachable
from qchive.spawn import Account

# A socket's path is limited to 107 bytes (sun_path); the file in the folder takes 14 of them and its lock file 5 more.
_LONGEST_SOCKET_FOLDER = 85


def default_data() -> Path:
    """Where an archive keeps its data unless told otherwise: the user's data folder, for root /var/lib/qchive."""
    if os.geteuid() == 0:
        return Path("/var/lib/qchive")
    import platformdirs

    return Path(platformdirs.user_data_dir("qchive"))


class Folder:
    """The parts of `<data>/postgres`."""

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self.path = self.data / "postgres"
        self.lock = self.path / "lock"
        self.log = self.path / "server.log"
        self.cluster = self.path / "cluster"
        self.binaries = self.path / "binaries"
        self._manifest = self.path / "manifest.json"
        self._socket_note = self.path / "socket-folder"

    def make(self, account: Account | None) -> None:
        """Make what is missing and see that PostgreSQL's user gets to it; raises DataUnreachable when not."""
        try:
            _make(self.path, 0o755 if account else 0o700)
        except OSError as error:
            raise DataUnreachable(
                f"The data folder {self.data} cannot be used: {error}", path=str(self.data)
            ) from error
        who = account or accounts.current()
        self._check_owner(who)
        if not os.access(self.path, os.W_OK) or not accounts.can_enter(self.path, account):
            raise DataUnreachable(
                f"The data folder {self.data} cannot be used by the user {who.name}, as whom PostgreSQL runs. "
                "Choose a folder that this user may enter (all folders above it count), or open this one.",
                path=str(self.data),
                user=who.name,
            )

    def _check_owner(self, who: Account) -> None:
        if self.cluster.exists() and self.cluster.stat().st_uid != who.uid:
            owner = accounts.of_uid(self.cluster.stat().st_uid).name
            raise DataUnreachable(
                f"The database in {self.data} belongs to the user {owner}. Start it as that user or as root.",
                path=str(self.data),
                user=who.name,
            )

    def make_owned(self, path: Path, account: Account | None) -> None:
        """Make an empty folder that only PostgreSQL's user may enter."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        if account is not None:
            os.chown(path, account.uid, account.gid)

    def make_socket_folder(self, account: Account | None) -> Path:
        """An empty folder for the socket: inside the data, or a private temporary one where that path is too long.

        A comma would also do harm: in a connection string it separates hosts.
        """
        self.remove_socket_folder()
        folder = self.path / "socket"
        if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER or "," in str(folder):
            base = tempfile.gettempdir()
            folder = Path(tempfile.mkdtemp(prefix="qchive-", dir=base if len(base) < 40 else "/tmp"))
            self._socket_note.write_text(str(folder))
        self.make_owned(folder, account)
        return folder

    def socket_folder(self) -> Path | None:
        """Where the socket of the server is that runs on this data, in whichever process; None if it has none."""
        try:
            folder = Path(self._socket_note.read_text())
        except FileNotFoundError:
            folder = self.path / "socket"
        return folder if folder.exists() else None

    def remove_socket_folder(self) -> None:
        """Remove the socket's folder, also a temporary one that an earlier, killed process left."""
        shutil.rmtree(self.path / "socket", ignore_errors=True)
        if self._socket_note.exists():
            left = Path(self._socket_note.read_text())
            if left.name.startswith("qchive-"):
                shutil.rmtree(left, ignore_errors=True)
            self._socket_note.unlink()

    @property
    def major(self) -> int | None:
        """The major version that wrote the cluster, None where there is none yet."""
        if not self.cluster.exists():
            return None
        if self._manifest.exists():
            return int(json.loads(self._manifest.read_text())["postgres_major"])
        return int((self.cluster / "PG_VERSION").read_text())

    def write_manifest(self, entries: dict[str, Any]) -> None:
        """Write the manifest, whole or not at all."""
        new = self._manifest.with_suffix(".new")
        with new.open("w") as file:
            json.dump(entries, file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._manifest)
        sync_folder(self.path)


class Lock:
    """The right to run PostgreSQL on a folder. The kernel takes it back when its holder dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise DataInUse at once with the id of the process that has it."""
        if self._file is not None:
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise self._refusal() from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def holder(self) -> int | None:
        """The process that holds it, None when nobody does."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.pread(file, 20, 0) or b"0")
        finally:
            os.close(file)
        return None

    def _refusal(self) -> DataInUse:
        pid = int(self._path.read_text() or "0")
        folder = self._path.parent.parent
        return DataInUse(
            f"The data in {folder} are in use by process {pid or 'unknown'}. Only one archive can run on them: use "
            "that one, end it first, or choose another data folder.",
            pid=pid,
            path=str(folder),
        )


def sync_folder(path: Path) -> None:
    """Have the names in a folder on disk."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _make(path: Path, mode: int) -> None:
    """Make a folder and those above it that are missing, all with that mode whatever the umask says."""
    for folder in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
        try:
            folder.mkdir()
        except FileExistsError:  # somebody else was faster, so it is not ours
            continue
        folder.chmod(mode)
